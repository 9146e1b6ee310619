"""What the rest of scvi-tools does with a model: minified, compared, criticized, shared."""

import copy
from importlib.metadata import version

import numpy as np
import pytest
import scvi
from huggingface_hub import ModelCard
from scipy.stats import pearsonr
from scvi.hub import HubMetadata, HubModel
from tests.model.specs import QUICK, SPECS, cells

pytestmark = pytest.mark.contract


def minified(spec, layer=None):
    """A model whose cells have no counts any more, and what it said before."""
    scvi.settings.seed = 0
    adata = cells()
    if layer is not None:
        adata.layers[layer] = adata.X.copy()
    spec.cls.setup_anndata(adata, **spec.setup, layer=layer)
    model = spec.cls(adata, **{"n_components": 3, "n_hidden": 32, **spec.init})
    model.train(**QUICK | {"max_epochs": 2})
    mean, variance = model.get_latent_representation(return_dist=True)
    adata.obsm["X_latent_qzm"], adata.obsm["X_latent_qzv"] = mean, variance
    scvi.settings.seed = 1
    before = {
        "probs": model.predict_proba().to_numpy(),
        "novelty": model.get_novelty(),
        "latent": mean,
        "components": model.get_components().means.to_numpy(),
        "profiles": model.get_component_profiles().to_numpy(),
        "expression": model.get_normalized_expression(n_samples=60).to_numpy(),
    }
    model.minify_adata()
    return model, before


@pytest.mark.parametrize("layer", [None, "counts"])
def test_minified_says_the_same(spec, layer):
    model, before = minified(spec, layer)
    scvi.settings.seed = 1
    after = {
        "probs": model.predict_proba().to_numpy(),
        "novelty": model.get_novelty(),
        "latent": model.get_latent_representation(),
        "components": model.get_components().means.to_numpy(),
        "profiles": model.get_component_profiles().to_numpy(),
    }
    for name, value in after.items():
        np.testing.assert_allclose(value, before[name], rtol=1e-3, atol=1e-4, err_msg=name)
    # draws of q(z | x): as near to those of the whole cells as to other draws of the minified ones
    one, other = (model.get_normalized_expression(n_samples=60).to_numpy() for _ in range(2))
    chance = pearsonr(one.ravel(), other.ravel())[0]
    assert pearsonr(one.ravel(), before["expression"].ravel())[0] > chance - 0.01
    assert model.posterior_predictive_sample(n_samples=2).shape == (240, 60, 2)


def test_minified_refuses_what_needs_counts(spec):
    model, _ = minified(spec)
    for call in (
        model.train,
        model.get_elbo,
        model.get_reconstruction_error,
        model.get_marginal_ll,
        model.get_latent_library_size,
    ):
        with pytest.raises(ValueError, match="minif"):
            call()


@pytest.mark.parametrize("saved", [True, False])
def test_minified_and_saved(spec, saved, tmp_path):
    """Minified or whole cells, saved with the model or handed over."""
    model, before = minified(spec)
    model.save(tmp_path / "model", prefix="small_", save_anndata=saved)
    own = None if saved else model.adata.copy()
    loaded = spec.cls.load(tmp_path / "model", adata=own, prefix="small_")
    assert loaded.minified_data_type == model.minified_data_type
    np.testing.assert_allclose(loaded.predict_proba(), before["probs"], atol=1e-4)
    whole = spec.cls.load(tmp_path / "model", adata=cells(), prefix="small_")
    assert whole.minified_data_type is None
    np.testing.assert_allclose(whole.predict_proba(), before["probs"], atol=1e-4)
    assert np.isfinite(float(whole.get_elbo()))


def test_differential_expression_of_every_kind(trained):
    """Groups by name, by rows, by a query; both modes; uniform and importance weights."""
    _, model = trained
    batch = model.adata.obs["batch"].to_numpy()
    silent = {"silent": True, "n_samples_overall": 50}
    by_name = model.differential_expression(groupby="batch", group1="batch_0", **silent)
    by_rows = model.differential_expression(
        idx1=batch == "batch_0", idx2=batch == "batch_1", mode="vanilla", **silent
    )
    query = "batch == 'batch_0'"
    by_query = model.differential_expression(idx1=query, weights="importance", **silent)
    for table in (by_name, by_rows, by_query):
        assert list(table.index.sort_values()) == list(model.adata.var_names.sort_values())
        assert np.isfinite(table.select_dtypes("number").to_numpy()).all()
    # the statistics are those of the counts
    X = model.adata[batch == "batch_0"].X.toarray()
    np.testing.assert_allclose(
        by_name.loc[model.adata.var_names, "raw_mean1"], X.mean(0), rtol=1e-5
    )


def test_correlations_of_genes(trained):
    _, model = trained
    for kind in ("pearson", "spearman"):
        table = model.get_feature_correlation_matrix(n_samples=2, correlation_type=kind)
        assert list(table.index) == list(table.columns) == list(model.adata.var_names)
        np.testing.assert_allclose(np.diag(table), 1)
        np.testing.assert_allclose(table, table.T, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Using .* after custom Dataloader:UserWarning")
def test_differential_abundance(trained):
    _, model = trained
    adata = cells()
    model.differential_abundance(adata, sample_key="batch", num_cells_posterior=50)
    table = adata.obsm["da_log_probs"]
    assert table.shape == (240, 2)
    assert set(table) == {"batch_0", "batch_1"}
    assert np.isfinite(table.to_numpy()).all()


def test_posterior_predictive_checks(trained):
    """scvi-tools' own criticism runs on every model; it compares models of other kinds too."""
    _, model = trained
    adata = cells()
    adata.X = adata.X.toarray()  # with a sparse matrix it fails for its own models as well
    model.predict(adata)
    check = scvi.criticism.PosteriorPredictiveCheck(adata, {"model": model}, n_samples=3)
    check.zero_fraction()
    zeros = check.metrics["zero_fraction"]
    drawn = model.posterior_predictive_sample(adata, n_samples=3)
    drawn = drawn.todense() if hasattr(drawn, "todense") else drawn
    # what it calls the fraction of zeros is that of the others
    np.testing.assert_allclose(zeros["model"].mean(), (drawn != 0).mean(), atol=0.01)
    np.testing.assert_allclose(zeros["Raw"].mean(), (adata.X != 0).mean(), atol=1e-6)


def test_shared_on_a_hub(trained, tmp_path):
    """A model is found by its class and module, from a folder and without a network.

    The card is one's own: scvi-tools' helper writes cards of its own classes only.
    """
    spec, model = trained
    folder = tmp_path / "model"
    model.save(folder, save_anndata=True)
    metadata = HubMetadata.from_dir(
        str(folder), anndata_version=version("anndata"), model_parent_module="mixvi.model"
    )
    assert metadata.model_cls_name == spec.cls.__name__
    card = ModelCard("---\nlicense: bsd-3-clause\n---\nClusters of simulated cells.")
    HubModel(str(folder), metadata=metadata, model_card=card).save(overwrite=True)
    assert "simulated cells" in (folder / "README.md").read_text()
    # as somebody finds it who was given the folder
    hub = HubModel(str(folder))
    assert isinstance(hub.model, spec.cls)
    np.testing.assert_allclose(hub.model.predict_proba(), model.predict_proba(), atol=1e-5)


def test_copies_are_models_of_their_own(fresh):
    _, model = fresh
    clone = copy.deepcopy(model)
    expected = model.predict_proba(cells())
    model.train(**QUICK | {"max_epochs": 1})
    np.testing.assert_allclose(clone.predict_proba(cells()), expected, atol=1e-6)


@pytest.mark.parametrize("name", SPECS)
def test_documented_without_gaps(name):
    """No placeholder of scvi-tools' docstrings is left, in what a model inherits either."""
    cls = SPECS[name].cls
    gaps = [
        attribute
        for attribute in dir(cls)
        if not attribute.startswith("_")
        and "mixvi" in getattr(getattr(cls, attribute), "__module__", "")
        and "%(" in (getattr(cls, attribute).__doc__ or "")
    ]
    assert not gaps
    assert "%(" not in cls.__doc__
