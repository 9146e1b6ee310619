"""What scGen and scPoli are shown, and how they are read; the package itself stands aside."""

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from benchmarks.data import LABEL, prepare
from benchmarks.peers_integration import METHODS as INTEGRATION
from benchmarks.peers_mapping import METHODS as MAPPING

from benchmarks import peers_scarches
from mixvi import datasets


class Poli:
    """Calls every cell by the label that most cells had, and notes what it was shown."""

    made: ClassVar[list] = []

    def __init__(self, adata, *, condition_keys, cell_type_keys, unknown_ct_names, **settings):
        assert (condition_keys, cell_type_keys) == ("batch", LABEL)
        assert isinstance(adata.X, np.ndarray)
        labels = adata.obs[LABEL].to_numpy()
        self.names = set(labels) - set(unknown_ct_names)
        known = np.flatnonzero(labels != unknown_ct_names[0])
        assert settings["labeled_indices"] == known.tolist()
        self.most = max(self.names, key=list(labels[known]).count)
        Poli.made.append(self)

    @classmethod
    def load_query_data(cls, adata, reference_model, labeled_indices, unknown_ct_names):
        assert labeled_indices == []
        assert set(adata.obs[LABEL]) == set(unknown_ct_names)
        return reference_model

    def train(self, **kwargs):
        assert kwargs["pretraining_epochs"] < kwargs["n_epochs"]

    def get_latent(self, adata, mean):
        assert mean
        return np.zeros((adata.n_obs, 10))

    def classify(self, adata):
        found = {"preds": np.repeat(self.most, adata.n_obs), "uncert": np.ones((adata.n_obs, 1))}
        return {LABEL: found}


class Gen:
    """Adds the mean shift of the genes: scGen with a latent space that is the genes."""

    def __init__(self, adata, hidden_layer_sizes):
        self.adata = adata

    def train(self, n_epochs, early_stopping_kwargs):
        pass

    def predict(self, adata, conditions, cell_type_key, condition_key, celltype_to_predict):
        own = (adata.obs[cell_type_key] == celltype_to_predict).to_numpy()
        control = (adata.obs[condition_key] == conditions["ctrl"]).to_numpy()
        stimulated = (adata.obs[condition_key] == conditions["stim"]).to_numpy()
        assert not (own & stimulated).any()
        shift = adata.X[stimulated].mean(0) - adata.X[control].mean(0)
        return adata.X[own & control] + shift, shift


@pytest.fixture
def cells(monkeypatch):
    models = SimpleNamespace(scPoli=Poli, scgen=Gen)
    monkeypatch.setattr(peers_scarches, "scarches", lambda: SimpleNamespace(models=models))
    Poli.made.clear()
    adata = datasets.simulate(200, 40, n_components=3, n_batches=4, n_conditions=2, rng=0)
    adata.obs[LABEL] = adata.obs["component"].astype(str)
    return adata


def test_the_query_has_no_labels(cells):
    adata = prepare(cells)
    new = (adata.obs["batch"] == "batch_3").to_numpy()
    found = MAPPING["scpoli"](adata[~new].copy(), adata[new].copy(), 0)
    (model,) = Poli.made
    assert model.names == {"component_0", "component_1", "component_2"}
    assert (found.labels == model.most).all()
    assert found.novelty.shape == (new.sum(),)


def test_half_of_the_labels_are_known(cells):
    adata = prepare(cells)
    known = (adata.obs[LABEL] != "component_1").to_numpy()
    found = INTEGRATION["scpoli_labels"](adata, known, 0)
    assert Poli.made[0].names == {"component_0", "component_2"}
    assert found.z.shape == (adata.n_obs, 10)
    assert (found.clusters == Poli.made[0].most).all()


def test_scgen_predicts_the_mean_of_control_cells_moved(cells):
    of = np.where(cells.obs["condition"] == "condition_0", "control", "stimulated")
    cells.obs["condition"] = of
    held_out = (cells.obs[LABEL] == "component_1").to_numpy() & (of == "stimulated")
    train = prepare(cells[~held_out].copy())
    y = train.layers["lognorm"].toarray()
    control = (train.obs["condition"] == "control").to_numpy()
    own = control & (train.obs[LABEL] == "component_1").to_numpy()
    expected = y[own].mean(0) + y[~control].mean(0) - y[control].mean(0)
    found = peers_scarches.scgen(train, "component_1", 0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_sysvi_embeds_all_cells(cells, monkeypatch):
    monkeypatch.setattr("benchmarks.peers_integration.SCVI_EPOCHS", 2)
    adata = prepare(cells)
    found = INTEGRATION["sysvi"](adata, np.ones(adata.n_obs, dtype=bool), 0)
    assert found.z.shape[0] == adata.n_obs
    assert np.isfinite(found.z).all()
