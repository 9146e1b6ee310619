"""Which cells are held out."""

import numpy as np
import pytest
import scvi

from mixvi import datasets
from mixvi.model import RMVE


@pytest.mark.parametrize(
    ("n_labeled", "held_out"), [(0, 0), (30, 0), (180, 0), (190, 10), (200, 20)]
)
def test_cells_without_a_label_are_held_out_first(n_labeled, held_out):
    scvi.settings.seed = 0
    adata = datasets.simulate(200, 30, n_components=2, rng=0)
    labeled = np.random.default_rng(0).permutation(200) < n_labeled
    labels = np.where(labeled, adata.obs["component"].astype(str), "unknown")
    adata.obs["labels"] = labels
    RMVE.setup_anndata(adata, labels_key="labels", unlabeled_category="unknown")
    model = RMVE(adata, n_components=2, n_hidden=8)
    model.train(max_epochs=1, accelerator="cpu", enable_progress_bar=False)
    train, val = model.train_indices, model.validation_indices
    assert sorted([*train, *val]) == list(range(200))
    assert len(val) == 20
    assert labeled[val].sum() == held_out
