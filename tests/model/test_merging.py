"""Clusters that are merged components, in the model and without it."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.cluster.hierarchy as sch
import scvi

from mixvi import datasets, metrics, pl, tl
from mixvi.model import CGMDVAE, RMVE
from mixvi.model.clusters import summed_by_cluster

QUICK = {"max_epochs": 30, "accelerator": "cpu", "enable_progress_bar": False, "batch_size": 64}


def cells(n_obs=600, rng=0):
    return datasets.simulate(n_obs, 80, n_components=4, separation=10, depth=800, rng=rng)


@pytest.fixture(scope="module")
def trained():
    scvi.settings.seed = 0
    adata = cells()
    RMVE.setup_anndata(adata)
    model = RMVE(adata, n_hidden=32)
    model.train(**QUICK)
    return model


@pytest.fixture
def annotated(trained):
    adata = cells()
    trained.merge_components()
    trained.annotate(adata)
    return adata


def test_auto_finds_the_number_of_simulated_clusters(trained):
    trained.merge_components()
    assert len(trained.component_names_) == 30
    assert len(trained.cluster_names_) == 4
    truth = cells().obs["component"]
    assert metrics.adjusted_rand_index(truth, trained.predict()) > 0.95
    assert metrics.adjusted_rand_index(truth, trained.predict(level="component")) < 0.8
    assert repr(trained).startswith("RMVE(n_components=30, 4 clusters, n_latent=10")


def test_clusters_are_sums_of_components(trained):
    trained.merge_components(n_clusters=7)
    parts, whole = trained.predict_proba(level="component"), trained.predict_proba()
    codes = np.array(trained.cluster_of_component_)
    for code, name in enumerate(trained.cluster_names_):
        np.testing.assert_allclose(whole[name], parts.loc[:, codes == code].sum(axis=1), atol=1e-5)
    assert whole.shape == (600, 7)
    # the largest is first
    sizes = whole.sum().to_numpy()
    assert (np.diff(sizes) < 1).all()
    with pytest.raises(ValueError, match="level"):
        trained.predict(level="both")


def test_another_cut_starts_from_the_components(trained):
    first = trained.merge_components(n_clusters=3)
    again = trained.merge_components(n_clusters=12)
    np.testing.assert_array_equal(first.merges, again.merges)
    assert len(trained.cluster_names_) == 12
    assert len(trained.merge_components(threshold=1e9).weights) == 30
    assert len(trained.cluster_names_) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_clusters": 31}, "found 31"),
        ({"n_clusters": 0}, "found 0"),
        ({"n_clusters": 3, "threshold": 0.1}, "choose one"),
    ],
)
def test_cuts_that_cannot_be(trained, annotated, arguments, message):
    with pytest.raises(ValueError, match=message):
        trained.merge_components(**arguments)
    before = annotated.copy()
    with pytest.raises(ValueError, match=message):
        tl.merge_components(annotated, key="rmve", **arguments)
    pd.testing.assert_frame_equal(annotated.obs, before.obs)


def test_given_number_is_kept():
    adata = cells()
    CGMDVAE.setup_anndata(adata)
    model = CGMDVAE(adata, n_components=6, n_hidden=32)
    model.train(**QUICK | {"max_epochs": 3})
    assert model.cluster_names_ == model.component_names_ == [str(i) for i in range(6)]
    assert model.merge_tree is None
    model.annotate()
    assert "cgmdvae_component" not in adata.obs
    assert "tree" not in adata.uns["cgmdvae"]


def test_few_cells_get_fewer_components():
    adata = cells(120)
    RMVE.setup_anndata(adata)
    assert len(RMVE(adata).component_names_) == 12
    with pytest.raises(TypeError, match=r"whole number or 'auto', found 2\.5"):
        RMVE(adata, n_components=2.5)


def test_labels_are_not_merged():
    adata = cells()
    RMVE.setup_anndata(adata, labels_key="component")
    model = RMVE(adata, n_hidden=32)
    assert len(model.cluster_names_) == 4 + 5  # five free ones at least
    model.train(**QUICK | {"max_epochs": 3})
    with pytest.raises(ValueError, match="4 tied to one"):
        model.merge_components(3)
    model.annotate()
    with pytest.raises(ValueError, match="without labels"):
        tl.merge_components(adata, 3, key="rmve")


def test_suggestions(trained):
    trained.merge_components()
    table = trained.suggest_n_components()
    assert list(table.index) == list(range(1, 31))
    assert table.attrs["suggested"] == 4
    elbo = table["elbo"]
    # with all components it is the model's own; true clusters are worth a lot, more are not
    own = trained.get_elbo(indices=trained.validation_indices)
    assert elbo[30] == pytest.approx(float(own), abs=3)
    assert elbo[4] - elbo[3] > 5 * abs(elbo[30] - elbo[4]) / 26
    costs = table["merge_cost"].dropna()
    assert (costs.diff().dropna() <= 1e-12).all()  # falls with the number of clusters
    assert costs[4] > 0.14 > costs[5]
    assert (table["smallest"].diff().dropna() <= 1e-9).all()
    figure = pl.suggested_components(table)
    assert len(figure.axes) >= 2


def test_tree_survives_saving(trained, tmp_path):
    trained.merge_components(n_clusters=5)
    trained.save(tmp_path / "model")
    loaded = RMVE.load(tmp_path / "model", adata=cells())
    assert loaded.cluster_names_ == trained.cluster_names_
    np.testing.assert_array_equal(loaded.merge_tree.merges, trained.merge_tree.merges)
    np.testing.assert_array_equal(loaded.predict(), trained.predict())
    # trained on, it would find the number of clusters again
    assert loaded.merges_


def test_annotated_levels(annotated):
    obs, run = annotated.obs, annotated.uns["rmve"]
    assert obs["rmve"].nunique() == 4 < obs["rmve_component"].nunique()
    of_component = dict(zip(run["components"], run["cluster_of_component"], strict=True))
    agree = obs["rmve_component"].map(of_component).astype(str) == obs["rmve"].astype(str)
    assert agree.mean() > 0.95
    probs = annotated.obsm["rmve_probs"]
    np.testing.assert_allclose(obs["rmve_confidence"], probs.max(axis=1))
    entropy = -(probs * np.log(probs.clip(lower=1e-300))).sum(axis=1)
    np.testing.assert_allclose(obs["rmve_entropy"], entropy, atol=1e-5)
    assert run["threshold"] > 0


def test_merging_without_the_model(trained, annotated, tmp_path):
    del annotated.uns["_scvi_uuid"], annotated.uns["_scvi_manager_uuid"]
    annotated.write_h5ad(tmp_path / "cells.h5ad")
    adata = anndata.read_h5ad(tmp_path / "cells.h5ad")
    tl.merge_components(adata, 3, key="rmve", key_added="three")
    trained.merge_components(3)
    np.testing.assert_array_equal(adata.obs["three"].astype(str), trained.predict().astype(str))
    assert adata.obs["rmve"].nunique() == 4  # the run is left alone
    copy = tl.merge_components(adata, threshold=0.14, key="rmve", copy=True)
    np.testing.assert_array_equal(copy.obs["rmve"].astype(str), annotated.obs["rmve"].astype(str))
    tl.merge_components(adata, 30, key="rmve")
    assert "rmve_component" not in adata.obs  # every component is a cluster
    assert adata.obsm["rmve_probs"].shape[1] == 30
    tl.merge_components(adata, 2, key="rmve")
    assert adata.obs["rmve"].nunique() == 2
    linkage = copy.uns["rmve"]["tree"]
    assert linkage["merges"].shape == (29, 2)
    assert pl.merge_tree(copy, key="rmve").get_xlabel()
    adata.write_h5ad(tmp_path / "again.h5ad")


def test_scipys_linkage(trained):
    assert sch.is_valid_linkage(trained.merge_components(4).linkage())


def test_merging_needs_a_run():
    with pytest.raises(KeyError, match=r"adata.uns\['cgmdvae'\], found none"):
        tl.merge_components(cells(50), 3)


def test_sums_of_responsibilities_are_probabilities():
    probs = np.float32(
        [[0.5, 0.5 + 2**-23, 0], [0.25, 0.25, 0.5]]
    )  # the first as rounding leaves it
    np.testing.assert_array_equal(summed_by_cluster(probs, [0, 0, 1]), [[1, 0], [0.5, 0.5]])
