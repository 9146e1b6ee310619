"""Known labels: names, weights, several components for one label."""

import numpy as np
import pytest
import scvi
import torch
from scvi import REGISTRY_KEYS
from tests.model.specs import QUICK, cells

from mixvi.model import CGMDVAE, RMVE

SETUP = {"labels_key": "labels", "unlabeled_category": "unknown"}
LABELS = ["component_0", "component_1", "component_2"]


def make(cls=CGMDVAE, adata=None, **init):
    scvi.settings.seed = 0
    adata = cells() if adata is None else adata
    cls.setup_anndata(adata, **SETUP)
    return cls(adata, n_hidden=16, **init)


def mini_batch(model, rows):
    return next(iter(model._make_data_loader(model.adata, indices=rows, batch_size=len(rows))))


def loss_of(model, tensors):
    torch.manual_seed(0)
    *_, output = model.module(tensors, loss_kwargs={"n_obs": 240})
    return output


def test_free_components_by_default():
    model = make()
    assert model.cluster_names_ == [*LABELS, *(f"novel_{i}" for i in range(1, 6))]
    assert model.component_names_ == model.cluster_names_


def test_several_components_of_a_label():
    model = make(components_per_label=2)
    assert model.component_names_[:3] == ["component_0_1", "component_0_2", "component_1_1"]
    assert model.cluster_names_ == [*LABELS, *(f"novel_{i}" for i in range(1, 6))]
    model.train(**QUICK)
    probs, of_components = model.predict_proba(), model.predict_proba(level="component")
    assert probs.shape == (240, 8)
    assert of_components.shape == (240, 11)
    np.testing.assert_allclose(
        probs["component_1"],
        of_components["component_1_1"] + of_components["component_1_2"],
        atol=1e-6,
    )
    model.annotate()
    assert set(model.adata.obs["cgmdvae"]) <= set(model.cluster_names_)
    assert set(model.adata.obs["cgmdvae_component"]) <= set(model.component_names_)


@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
@pytest.mark.parametrize("unlabeled", [None, "unknown"])
def test_cells_that_are_asked_about_need_no_labels(cls, unlabeled, tmp_path):
    """Neither their predictions nor anything else is another for it."""
    adata = cells()
    if unlabeled is None:
        adata = adata[adata.obs["labels"] != "unknown"].copy()
    cls.setup_anndata(adata, labels_key="labels", unlabeled_category=unlabeled)
    model = cls(adata, n_hidden=16)
    model.train(**QUICK)
    expected = model.predict_proba()
    model.save(tmp_path / "model")
    bare = adata.copy()
    del bare.obs["labels"], bare.obs["_scvi_labels"]
    values = [None, np.nan, "of another study", *np.unique(adata.obs["labels"])]
    for values_of_cells in (["of another study"], values):
        named = bare.copy()
        named.obs["labels"] = np.resize(np.asarray(values_of_cells, dtype=object), named.n_obs)
        kept = named.obs["labels"].copy()
        np.testing.assert_array_equal(model.predict_proba(named), expected)
        assert kept.equals(named.obs["labels"])
    np.testing.assert_array_equal(model.predict_proba(bare), expected)
    np.testing.assert_array_equal(cls.load(tmp_path / "model", bare).predict_proba(), expected)
    assert "labels" not in bare.obs
    # the bound of a cell without a label is that of any cell without one
    unknown = bare.copy()
    unknown.obs["labels"] = unlabeled or "none"
    scvi.settings.seed = 0
    elbo = model.get_elbo(bare)
    scvi.settings.seed = 0
    assert model.get_elbo(unknown) == elbo != model.get_elbo(adata)
    model.annotate(bare)
    assert f"{model._name}_confidence" in bare.obs


@pytest.mark.law
@pytest.mark.parametrize("per_label", [1, 2])
@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
def test_classification_is_minus_log_probability_of_the_label(cls, per_label):
    model = make(cls, components_per_label=per_label, class_weights={"component_1": 3.0})
    model.module.eval()
    tensors = mini_batch(model, np.arange(60))
    labels = model.module.known_labels(tensors).numpy()
    torch.manual_seed(0)
    inference, _, output = model.module(tensors, loss_kwargs={"n_obs": 240})
    q = model.module.prior.recognition(inference["qz"], inference["z"], inference["c"]).probs
    q = q.detach().numpy()[:, : 3 * per_label].reshape(60, 3, per_label).sum(-1)
    weight = np.array([1.0, 3.0, 1.0])[labels]
    expected = np.where(labels >= 0, -weight * np.log(q[np.arange(60), labels]), 0).mean()
    assert output.extra_metrics["classification"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.law
@pytest.mark.parametrize("per_label", [1, 2])
def test_labels_bound_the_responsibilities(per_label):
    """A cell with a label is shared among its label's components as q(y | z) shares it."""
    model = make(components_per_label=per_label, n_style=0)
    prior = model.module.prior
    z, c = torch.randn(30, 10), torch.zeros(30, 0)
    labels = torch.arange(30) % 4 - 1
    q = prior.assignment(z, c)
    inside = prior._probs(q, labels).detach()
    np.testing.assert_allclose(inside.sum(1), 1, rtol=1e-5)
    free = labels < 0
    np.testing.assert_allclose(inside[free], q.probs[free].detach(), rtol=1e-5)
    for label in range(3):
        own = slice(label * per_label, (label + 1) * per_label)
        expected = q.probs[labels == label, own].detach()
        expected = expected / expected.sum(1, keepdim=True)
        np.testing.assert_allclose(inside[labels == label, own], expected, rtol=1e-4)


@pytest.mark.law
@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
def test_cells_without_labels_are_unsupervised(cls):
    """A mini-batch without a labeled cell has the unsupervised loss."""
    model = make(cls)
    model.module.eval()
    rows = np.flatnonzero(model.adata.obs["labels"] == "unknown")[:40]
    tensors = mini_batch(model, rows)
    supervised = loss_of(model, tensors)
    assert supervised.extra_metrics["classification"] == 0
    model.module.n_labels = 0
    torch.testing.assert_close(supervised.loss, loss_of(model, tensors).loss)


def test_labels_may_miss_from_mini_batches():
    """Three labeled cells, so that most mini-batches have none."""
    adata = cells()
    adata.obs["labels"] = "unknown"
    first = adata.obs_names[adata.obs["component"] == "component_1"][:3]
    adata.obs.loc[first, "labels"] = "component_1"
    model = make(adata=adata)
    model.train(**QUICK | {"batch_size": 32})
    assert np.isfinite(model.history["classification_train"].to_numpy(dtype=float)).all()
    assert model.predict(adata[first]).tolist() == ["component_1"] * 3


@pytest.mark.law
def test_balanced_labels_weigh_alike():
    adata = cells()
    known = adata.obs["labels"].astype(str).to_numpy().copy()
    rare = np.flatnonzero(known == "component_2")
    known[rare[4:]] = "unknown"
    adata.obs["labels"] = known
    model = make(adata=adata, class_weights="balanced")
    model.train(**QUICK | {"max_epochs": 1})
    counts = np.array([(known == label).sum() for label in LABELS])
    weights = model.module.class_weights.numpy()
    np.testing.assert_allclose(weights * counts, (weights * counts)[0])
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1)


@pytest.mark.law
@pytest.mark.contract
@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
def test_an_epoch_sees_so_many_cells_of_every_label(cls):
    """On average; which ones changes from epoch to epoch, and predictions see no labels at all."""
    adata = cells(1200)
    rare = np.flatnonzero(adata.obs["labels"] == "component_2")[8:]
    adata.obs["labels"] = adata.obs["labels"].astype(str)
    adata.obs.iloc[rare, adata.obs.columns.get_loc("labels")] = "unknown"
    model = make(cls, adata)
    model.train(**QUICK | {"max_epochs": 1}, n_samples_per_label=40)
    tensors, module = mini_batch(model, np.arange(1200)), model.module
    known = module.eval().known_labels(tensors).numpy()
    counts = np.bincount(known[known >= 0])
    assert counts[2] == 8
    assert counts[:2].min() > 150
    module.train()
    shown = np.stack([module.known_labels(tensors).numpy() for _ in range(200)])
    assert ((shown == known) | (shown == -1)).all()
    seen = [(shown == label).sum(1).mean() for label in range(3)]
    assert seen[2] == 8  # fewer than 40: all of them
    np.testing.assert_allclose(seen[:2], 40, atol=4 * np.sqrt(40 / 200))
    every = (shown >= 0).mean(0)[(known == 0) | (known == 1)]
    assert every.min() > 0
    assert every.max() < 1
    model.train(**QUICK | {"max_epochs": 1})
    assert module.label_rates is None  # asked for one run, it is not the next one's


def test_labels_to_sample_from():
    model = make()
    with pytest.raises(ValueError, match="at least 1, found 0"):
        model.train(**QUICK, n_samples_per_label=0)
    adata = cells()
    CGMDVAE.setup_anndata(adata)
    with pytest.raises(ValueError, match="expected labels with n_samples_per_label=5, found none"):
        CGMDVAE(adata, n_hidden=16).train(**QUICK, n_samples_per_label=5)


def test_balanced_over_a_data_module():
    """Counted over the loader, where there is no AnnData."""
    from scvi.dataloaders import DataSplitter

    model = make(class_weights="balanced")
    splitter = DataSplitter(model.adata_manager, train_size=1.0, batch_size=50)
    splitter.setup()
    model._balance_labels(splitter)
    from_loader = model.module.class_weights.clone()
    model._balance_labels(None)
    torch.testing.assert_close(from_loader, model.module.class_weights)


def test_label_that_every_cell_has():
    """Fully supervised: no free component is asked for, and none is needed."""
    adata = cells()
    adata.obs["labels"] = adata.obs["component"]
    CGMDVAE.setup_anndata(adata, labels_key="labels")
    model = CGMDVAE(adata, n_components=3, n_hidden=16)
    model.train(**QUICK)
    tensors = mini_batch(model, np.arange(20))
    assert (tensors[REGISTRY_KEYS.LABELS_KEY] < 3).all()
    assert set(model.predict()) <= set(LABELS)


def test_labels_of_which_none_is_known():
    """A reference without any label is clustered."""
    adata = cells()
    adata.obs["labels"] = "unknown"
    model = make(adata=adata, n_components=3)
    model.train(**QUICK)
    assert model.cluster_names_ == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"components_per_label": 0}, ValueError, "at least 1, found 0"),
        ({"components_per_label": 1.5}, TypeError, "whole number, found 1.5"),
        ({"components_per_label": 2, "n_components": 5}, ValueError, "at least 6"),
        ({"class_weights": "equal"}, ValueError, "'balanced' or a dict, found 'equal'"),
        ({"class_weights": {"T": 2.0}}, ValueError, "'component_0'.*found 'T'"),
        ({"class_weights": {"component_0": -1.0}}, ValueError, "at least 0, found -1"),
    ],
)
def test_options_are_checked(options, error, message):
    with pytest.raises(error, match=message):
        make(**options)


def test_label_that_is_called_like_a_free_component():
    adata = cells()
    adata.obs["labels"] = adata.obs["labels"].cat.rename_categories({"component_0": "novel_1"})
    with pytest.raises(ValueError, match=r"other than 'novel_1'.*rename"):
        make(adata=adata)
