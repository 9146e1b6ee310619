import anndata as ad
import numpy as np
import pandas as pd
import pytest
from benchmarks.data import prepare
from scipy import sparse

import mixvi.model
from benchmarks import peers


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(1, 5, size=(3, 30))[np.arange(90) % 3]).astype(np.float32)
    obs = pd.DataFrame(
        {"cell_type": [*"abc"] * 30, "batch": [*"xy"] * 45, "condition": [*"uuv"] * 30},
        index=[f"c{i}" for i in range(90)],
    )
    return prepare(ad.AnnData(sparse.csr_matrix(counts), obs=obs))


class Recorder:
    """Stands in for a model: keeps what it was given."""

    @classmethod
    def setup_anndata(cls, adata, **keys):
        cls.columns, cls.keys = list(adata.obs), keys

    def __init__(self, adata, n_components):
        self.n_obs = adata.n_obs
        assert n_components == "auto"

    def train(self, **options):
        pass

    def predict_proba(self):
        return pd.DataFrame(np.tile([0.1, 0.7, 0.2, 0.0], (self.n_obs, 1)))

    def predict(self):
        return np.full(self.n_obs, "1")

    def get_latent_representation(self):
        return np.zeros((self.n_obs, 2))


def test_mixvi_gets_covariates_and_no_labels(adata, monkeypatch):
    monkeypatch.setattr(mixvi.model, "Recorder", Recorder, raising=False)
    found = peers.mixvi(adata, 0, "Recorder", "auto")
    assert Recorder.columns == ["batch", "condition"]
    assert Recorder.keys == {"batch_key": "batch", "condition_key": "condition"}
    assert found.n_components == 4
    assert found.clusters.shape == (90,)
    np.testing.assert_allclose(found.confidence, 0.7)
    assert found.parameters["n_components"] == "auto"


def test_a_condition_is_a_covariate_for_models_that_know_none(adata):
    keys = {"batch_key": "batch", "categorical_covariate_keys": ["condition"]}
    assert peers.as_scvi_keys(adata) == keys
    del adata.obs["condition"]
    assert peers.as_scvi_keys(adata) == {"batch_key": "batch"}


def test_pca_is_what_it_says(adata):
    plain, scaled = (peers.pca(adata, 0, scaled=s) for s in (False, True))
    x = adata.layers["lognorm"].toarray()
    assert plain.z.shape == (90, 29)
    assert plain.z.var(0).sum() == pytest.approx(x.var(0).sum(), rel=1e-3)
    # all scaled genes have variance one, and 29 of 30 components nearly all of it
    assert scaled.z.var(0, ddof=1).sum() == pytest.approx(adata.n_vars, rel=1e-2)


def test_scvi_default_epochs_follow_the_number_of_cells():
    assert peers.default_epochs(4_000) == 400
    assert peers.default_epochs(40_000) == 200


@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_drvi_runs(adata):
    pytest.importorskip("drvi")
    found = peers.drvi(adata, 0, max_epochs=1)
    assert found.z.shape == (90, 32)
    assert found.parameters["batch_key"] == "batch"
