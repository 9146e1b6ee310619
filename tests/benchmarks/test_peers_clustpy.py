import sys
from importlib.util import find_spec

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from benchmarks.data import prepare
from benchmarks.peers_clustpy import TORCHVISION, clustpy, features, without_torchvision
from scipy import sparse


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(1, 5, size=(3, 30))[np.arange(90) % 3]).astype(np.float32)
    obs = pd.DataFrame({"cell_type": [*"abc"] * 30}, index=[f"c{i}" for i in range(90)])
    return prepare(ad.AnnData(sparse.csr_matrix(counts), obs=obs))


def test_features_are_on_the_scale_of_the_likelihood(adata):
    unit = features(adata, "VaDE")
    assert unit.min() >= 0
    np.testing.assert_allclose(unit.max(0), 1)
    np.testing.assert_allclose(features(adata, "IDEC").std(0, ddof=1), 1, atol=1e-2)


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed")
def test_the_stand_in_is_gone_afterwards():
    with without_torchvision():
        from torchvision.models._api import Weights, WeightsEnum  # noqa: F401
    assert not set(TORCHVISION) & set(sys.modules)


@pytest.mark.parametrize("name", ["VaDE", "IDEC"])
def test_clustpy_runs(adata, name):
    pytest.importorskip("clustpy")
    found = clustpy(adata, 0, name, 3, pretrain_epochs=1, clustering_epochs=1)
    assert found.z.shape == (90, 10)
    assert found.clusters.shape == (90,)
    assert set(found.clusters) <= {0, 1, 2}
