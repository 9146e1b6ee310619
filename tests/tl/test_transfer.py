"""Labels for new cells, and which of them are new."""

import importlib

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scvi
from sklearn.metrics import roc_auc_score
from tests.model.specs import QUICK

from mixvi import datasets, tl
from mixvi.model import CGMDVAE
from mixvi.tl.adapt import log_odds_of_new

BRIEF = QUICK | {"max_epochs": 2}
LONGER = QUICK | {"max_epochs": 40}
LABEL = "cell_type"


def reference_and_query(**options):
    """Half of the cells each; only the query has the third type."""
    adata = datasets.simulate(800, 100, n_components=3, n_batches=2, depth=1000, rng=0, **options)
    adata.obs[LABEL] = adata.obs["component"].astype(str)
    is_query = np.random.default_rng(0).random(800) < 0.5
    adata.obs["batch"] = np.where(is_query, "new", adata.obs["batch"].astype(str))
    reference, query = adata[~is_query].copy(), adata[is_query].copy()
    reference = reference[reference.obs[LABEL] != "component_2"].copy()
    truth = query.obs.pop(LABEL).astype(str).to_numpy()
    return reference, query, truth


@pytest.fixture(scope="module")
def atlas():
    scvi.settings.seed = 0
    reference, _, _ = reference_and_query()
    CGMDVAE.setup_anndata(reference, batch_key="batch", labels_key=LABEL)
    model = CGMDVAE(reference, n_components=2, n_hidden=32)
    model.train(**LONGER)
    return model


def check(query, truth, key="cell_type_pred"):
    seen = truth != "component_2"
    predicted = query.obs[key].astype(str).to_numpy()
    assert (predicted[seen] == truth[seen]).mean() > 0.9
    probs = query.obsm[f"{key}_probs"]
    assert list(probs.columns) == ["component_0", "component_1"]
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-9)
    np.testing.assert_allclose(query.obs[f"{key}_confidence"], probs.max(axis=1))
    np.testing.assert_array_equal(probs.idxmax(axis=1), predicted)
    novelty, novel = query.obs[f"{key}_novelty"], query.obs[f"{key}_novel"]
    np.testing.assert_array_equal(novel, novelty > query.uns[key]["threshold"])
    return roc_auc_score(~seen, novelty), novel[seen].mean(), novel[~seen].mean()


def test_frozen(atlas, tmp_path):
    _, query, truth = reference_and_query()
    latent = atlas.get_latent_representation()
    tl.transfer(query, atlas)
    # whether a frozen encoder shows the unseen type depends on the data; false alarms do not
    _, alarms, _ = check(query, truth)
    assert alarms < 0.2
    np.testing.assert_array_equal(atlas.get_latent_representation(), latent)
    # from a directory the same, in whatever order the genes come
    atlas.save(tmp_path / "atlas", save_anndata=True)
    _, again, _ = reference_and_query()
    again = again[:, ::-1].copy()
    joined = tl.transfer(again, tmp_path / "atlas", join=True, n_new_components="auto")
    np.testing.assert_allclose(
        again.obs["cell_type_pred_novelty"], query.obs["cell_type_pred_novelty"], rtol=1e-5
    )
    assert joined.n_obs == len(truth) + len(latent)
    assert list(joined.obs["cell_type_pred_origin"].unique()) == ["reference", "query"]
    np.testing.assert_allclose(joined.obsm["X_cell_type_pred"][: len(latent)], latent, atol=1e-6)
    assert joined.obs[LABEL].isna().sum() == len(truth)  # the query has no labels
    joined.write_h5ad(tmp_path / "joined.h5ad")
    back = ad.read_h5ad(tmp_path / "joined.h5ad")
    pd.testing.assert_series_equal(back.obs["cell_type_pred"], joined.obs["cell_type_pred"])


def test_frozen_without_labels():
    reference, query, _ = reference_and_query()
    CGMDVAE.setup_anndata(reference, batch_key="batch")
    model = CGMDVAE(reference, n_components=3, n_hidden=32)
    model.train(**QUICK)
    tl.transfer(query, model)
    assert set(query.obs["cgmdvae"]) <= {"0", "1", "2"}


@pytest.mark.slow
def test_adapt_finds_what_the_reference_lacks():
    reference, query, truth = reference_and_query()
    joined = tl.transfer(
        query,
        reference,
        LABEL,
        batch_key="batch",
        join=True,
        false_alarm_rate=0.1,  # few labels can be hidden here: the largest score keeps a lower rate
        model_kwargs={"n_hidden": 32},
        train_kwargs=LONGER,
        rng=0,
    )
    auroc, alarms, found = check(query, truth)
    assert auroc > 0.98
    assert alarms < 0.1
    assert found > 0.85
    new = query.obs["cell_type_pred_component"].astype(str)
    assert new[truth == "component_2"].str.startswith("novel_").mean() > 0.85
    assert joined.n_obs == reference.n_obs + query.n_obs
    assert "cell_type_pred" not in reference.obs  # what was given stays as it was
    known = joined[: reference.n_obs].obs
    assert (known["cell_type_pred"].astype(str) == known[LABEL].astype(str)).mean() > 0.9


@pytest.mark.slow
def test_adapt_raises_no_alarm_where_nothing_is_new():
    reference, query, truth = reference_and_query()
    query = query[truth != "component_2"].copy()
    tl.transfer(
        query,
        reference,
        LABEL,
        batch_key="batch",
        model_kwargs={"n_hidden": 32},
        train_kwargs=LONGER,
        rng=0,
    )
    # a small region may start a component by chance; the threshold knows from hidden labels
    new = query.obs["cell_type_pred_component"].astype(str).str.startswith("novel_")
    assert new.mean() < 0.15
    assert query.obs["cell_type_pred_novel"].mean() < 0.12


@pytest.mark.slow
def test_a_handful_of_new_cells():
    """Without a component for them they still score high: they are far from what is known."""
    reference, query, truth = reference_and_query(separation=8)
    kept = (truth != "component_2") | (np.cumsum(truth == "component_2") <= 8)
    query, truth = query[kept].copy(), truth[kept]
    tl.transfer(
        query,
        reference,
        LABEL,
        batch_key="batch",
        false_alarm_rate=0.1,
        model_kwargs={"n_components": 2},
        train_kwargs=LONGER,
        rng=0,
    )
    auroc, alarms, _ = check(query, truth)
    assert auroc > 0.95
    assert alarms < 0.1


@pytest.mark.law
def test_log_odds_of_new():
    rng = np.random.default_rng(0)
    known, free = rng.normal(size=(2, 50)).astype(np.float64) * 20
    np.testing.assert_allclose(log_odds_of_new(known, free, -np.inf), free - known)
    nowhere = np.full(50, -np.inf)
    np.testing.assert_allclose(log_odds_of_new(known, nowhere, -3.0), -3 - known)
    both = log_odds_of_new(known, free, -3.0)
    np.testing.assert_allclose(np.exp(both), (np.exp(free) + np.exp(-3)) / np.exp(known))


def test_same_seed_same_result():
    found = []
    for _ in range(2):
        reference, query, _ = reference_and_query()
        tl.transfer(query, reference, LABEL, n_models=2, train_kwargs=BRIEF, rng=3)
        found.append(query.obs["cell_type_pred_novelty"].to_numpy())
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("n_models", [1, 2, None])
def test_models_are_averaged(monkeypatch, n_models):
    module, runs = importlib.import_module("mixvi.tl.adapt"), []
    ask = module._ask

    def noted(*arguments):
        runs.append(ask(*arguments))
        return runs[-1]

    monkeypatch.setattr(module, "_ask", noted)
    reference, query, _ = reference_and_query()
    tl.transfer(query, reference, LABEL, n_models=n_models, train_kwargs=BRIEF, rng=0)
    assert len(runs) == (n_models or 3)
    novelty = np.stack([run.novelty["query"] for run in runs])
    assert n_models == 1 or np.abs(np.diff(novelty, axis=0)).max() > 0.01  # not the same twice
    mean = novelty.mean(0)
    np.testing.assert_allclose(query.obs["cell_type_pred_novelty"], mean)
    probs = np.mean([run.results["query"].labels for run in runs], axis=0)
    np.testing.assert_allclose(query.obsm["cell_type_pred_probs"], probs)
    typical = runs[np.abs(novelty - mean).mean(1).argmin()].results["query"]
    np.testing.assert_array_equal(query.obsm["X_cell_type_pred"], typical.latent)
    np.testing.assert_array_equal(
        query.obs["cell_type_pred_component"].astype(str), typical.components
    )


def test_bad_input(atlas, tmp_path):
    reference, query, _ = reference_and_query()
    with pytest.raises(ValueError, match="expected labels_key"):
        tl.transfer(query, reference)
    with pytest.raises(KeyError, match="celltype"):
        tl.transfer(query, reference, "celltype")
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match="`n_models` to be a whole number of at least 1"):
            tl.transfer(query, reference, LABEL, n_models=wrong)
    reference.obs["none"] = "unknown"
    with pytest.raises(ValueError, match="expected labels in reference"):
        tl.transfer(query, reference, "none", unlabeled_category="unknown")
    with pytest.raises(FileNotFoundError, match="no directory"):
        tl.transfer(query, tmp_path / "atlas")
    atlas.save(tmp_path / "atlas")
    with pytest.raises(ValueError, match="save_anndata=True"):
        tl.transfer(query, tmp_path / "atlas", join=True)
    query.var_names = [f"ENSG{i}" for i in range(query.n_vars)]
    for known, column in ((reference, LABEL), (atlas, None)):
        with pytest.raises(ValueError, match="found none among"):
            tl.transfer(query, known, column)
    assert "cell_type_pred" not in query.obs


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("labels_key", LABEL),
        ("batch_key", "batch"),
        ("layer", "counts"),
        ("unlabeled_category", "unknown"),
        ("mask_var", None),
        ("n_models", 1),
        ("model_kwargs", {"n_latent": 5}),
    ],
)
def test_arguments_for_cells_are_refused_with_a_model(atlas, argument, value):
    _, query, _ = reference_and_query()
    if argument == "mask_var":
        value = np.ones(query.n_vars, dtype=bool)
    with pytest.raises(ValueError, match=f"expected no {argument} with a model as reference"):
        tl.transfer(query, atlas, **{argument: value})


def test_new_components_are_refused_with_cells():
    reference, query, _ = reference_and_query()
    with pytest.raises(ValueError, match="expected no n_new_components with cells"):
        tl.transfer(query, reference, LABEL, n_new_components=2)
