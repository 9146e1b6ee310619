"""Where the components start."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

from mixvi import datasets
from mixvi.metrics import adjusted_rand_index
from mixvi.model import RMVE
from mixvi.train import fit_start, start_components

pytestmark = pytest.mark.law


def test_rows_are_responsibilities():
    z = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    weights = fit_start(z, 5)
    assert weights.shape == (300, 5)
    np.testing.assert_allclose(weights.sum(1), 1)


@pytest.mark.parametrize("seed", range(3))
def test_small_clusters_get_their_own(seed):
    """Ten clusters, the largest a hundred times the smallest: k-means alone cuts large ones."""
    torch.manual_seed(seed)
    sizes = np.geomspace(1000, 10, 10).astype(int)
    z, truth = make_blobs(
        sizes, n_features=8, cluster_std=1.0, center_box=(-9, 9), random_state=seed
    )
    assert adjusted_rand_index(truth, fit_start(z, 10).argmax(1)) > 0.99


def test_shared_covariance_is_found():
    """Clusters that are long in one direction, which k-means cuts across."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 400)
    z = rng.normal(size=(800, 2)) * [8, 0.5]
    z[:, 1] += 4 * truth
    assert adjusted_rand_index(truth, fit_start(z, 2).argmax(1)) > 0.95


@pytest.mark.parametrize("n_cells", [1, 3, 12])
def test_fewer_cells_than_clusters(n_cells):
    z = np.random.default_rng(0).normal(size=(n_cells, 3))
    weights = fit_start(z, 10)
    assert weights.shape[1] <= min(10, n_cells)
    np.testing.assert_allclose(weights.sum(1), 1)


def test_no_cluster_gets_a_label_that_no_cell_has():
    """Training cells without any labeled one: clusters start free components."""
    adata = datasets.simulate(120, 30, n_components=3, rng=0)
    adata.obs["labels"] = np.repeat(["T", "unknown"], [20, 100])
    RMVE.setup_anndata(adata, labels_key="labels", unlabeled_category="unknown")
    model = RMVE(adata, n_components=4, n_hidden=8)
    loader = model._make_data_loader(adata, indices=np.arange(20, 120))
    start_components(model.module, loader)
    assert model.module.prior.usage[0] == 0
    assert model.module.prior.usage[1:].sum() == pytest.approx(1)
