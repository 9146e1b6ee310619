"""What every model must do, whatever its prior."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scvi
import torch
from scipy import sparse
from scvi.data import AnnDataManager
from tests.model.specs import QUICK, cells

pytestmark = pytest.mark.contract


def test_latent_representation(trained):
    _, model = trained
    z = model.get_latent_representation()
    mean, variance = model.get_latent_representation(return_dist=True)
    assert z.shape == (240, 10)
    np.testing.assert_array_equal(z, mean)
    assert (variance > 0).all()


def test_predictions(trained):
    _, model = trained
    probs = model.predict_proba()
    assert list(probs.index) == list(model.adata.obs_names)
    assert list(probs.columns) == model.cluster_names_
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(model.predict(), probs.idxmax(axis=1).to_numpy())
    np.testing.assert_array_equal(model.predict(), model.predict())


def test_indices_and_batch_size(trained):
    _, model = trained
    rows = np.array([17, 3, 200, 4])
    for accessor in (model.get_latent_representation, lambda **k: model.predict_proba(**k).values):
        whole = accessor()
        np.testing.assert_allclose(accessor(indices=rows, batch_size=3), whole[rows], atol=1e-5)
    assert list(model.predict_proba(indices=rows).index) == list(model.adata.obs_names[rows])


def test_dataloader(trained):
    _, model = trained
    loader = model._make_data_loader(model.adata, batch_size=50)
    np.testing.assert_array_equal(model.predict(dataloader=loader), model.predict())
    np.testing.assert_allclose(
        model.predict_proba(dataloader=loader).to_numpy(), model.predict_proba(), atol=1e-5
    )
    np.testing.assert_allclose(
        model.get_latent_representation(dataloader=loader),
        model.get_latent_representation(),
        atol=1e-5,
    )
    assert np.isfinite(model.get_marginal_ll(dataloader=loader, n_mc_samples=2))
    assert model.get_components(dataloader=loader).weights.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match=r"adata.*dataloader"):
        model.predict(model.adata, dataloader=loader)


def test_components(trained):
    _, model = trained
    table = model.get_components()
    n_components = len(model.component_names_)
    assert table.means.shape == table.scales.shape == (n_components, 10)
    assert table.weights.sum() == pytest.approx(1)
    assert (table.scales.to_numpy() > 0).all()
    probs = model.predict_proba(level="component")
    np.testing.assert_allclose(table.weights, probs.mean(), atol=1e-5)


def test_component_profiles(trained):
    spec, model = trained
    profiles = model.get_component_profiles()
    assert profiles.shape == (len(model.component_names_), 60)
    np.testing.assert_allclose(profiles.sum(axis=1), 1, rtol=1e-4)
    np.testing.assert_allclose(
        model.get_component_profiles(library_size=100), 100 * profiles, rtol=1e-4
    )
    if "condition_key" in spec.setup:
        by_condition = model.get_component_profiles(conditions=["condition_1", "condition_0"])
        assert by_condition.index.names == ["component", "condition"]
        first = model.component_names_[0]
        a, b = (by_condition.loc[first, c] for c in ("condition_0", "condition_1"))
        assert not np.allclose(a, b)
    with pytest.raises(ValueError, match="expected a condition"):
        model.get_component_profiles(conditions=["nowhere"])


def test_style(trained):
    _, model = trained
    if model.module.prior.n_style:
        assert model.get_style_representation().shape == (240, model.module.prior.n_style)
    else:
        with pytest.raises(ValueError, match="n_style=0"):
            model.get_style_representation()


def test_expression(trained):
    _, model = trained
    frame = model.get_normalized_expression()
    assert isinstance(frame, pd.DataFrame)
    np.testing.assert_allclose(frame.sum(axis=1), 1, rtol=1e-4)
    moved = model.get_normalized_expression(n_samples=3, return_mean=False, library_size="latent")
    assert moved.shape == (3, 240, 60)
    if model.module.covariates.n_batch > 1:
        scvi.settings.seed = 1
        a = model.get_normalized_expression(transform_batch="batch_0")
        scvi.settings.seed = 1
        b = model.get_normalized_expression(transform_batch="batch_1")
        assert not np.allclose(a, b)
    genes = list(model.adata.var_names[:2])
    assert list(model.get_normalized_expression(gene_list=genes).columns) == genes


@pytest.mark.parametrize("options", [{"mode": "change"}, {"mode": "vanilla"}])
def test_differential_expression(trained, options):
    _, model = trained
    model.annotate(key_added="de")
    groups = model.adata.obs["component"].cat.categories
    table = model.differential_expression(
        groupby="component", group1=groups[0], group2=groups[1], silent=True, **options
    )
    assert len(table) == 60
    assert np.isfinite(table["bayes_factor"]).all()


def test_importance_weights_use_the_mixture(trained):
    _, model = trained
    expression = model.get_normalized_expression(
        indices=np.arange(20),
        n_samples_overall=30,
        weights="importance",
        n_mc_samples=4,
        n_mc_samples_per_pass=2,
        return_numpy=True,
    )
    assert expression.shape == (30, 60)
    assert np.isfinite(expression).all()


def test_likelihood_parameters_and_library(trained):
    _, model = trained
    params = model.get_likelihood_parameters()
    assert params["mean"].shape == params["dispersions"].shape == (240, 60)
    depth = model.get_latent_library_size(give_mean=False)
    np.testing.assert_allclose(depth.ravel(), np.asarray(model.adata.X.sum(1)).ravel(), rtol=1e-4)


def test_elbo_and_likelihoods(trained):
    _, model = trained
    scvi.settings.seed = 0
    per_cell = model.get_elbo(return_mean=False)
    scvi.settings.seed = 0
    assert model.get_elbo() == pytest.approx(per_cell.mean().item(), rel=1e-5)
    error = model.get_reconstruction_error()["reconstruction_loss"]
    assert torch.isfinite(torch.as_tensor(error))
    # a bound: the importance-weighted estimate lies above it
    assert model.get_marginal_ll(n_mc_samples=100) > per_cell.mean().item()


def test_marginal_likelihood_weighs_cells_alike(trained):
    """130 cells in batches of 128: the mean is over cells, not over mini-batches."""
    _, model = trained
    rows = np.arange(130)
    scvi.settings.seed = 0
    mean = model.get_marginal_ll(indices=rows, n_mc_samples=3, batch_size=128)
    scvi.settings.seed = 0
    cell = model.get_marginal_ll(indices=rows, n_mc_samples=3, batch_size=128, return_mean=False)
    assert cell.shape == (130,)
    assert mean == pytest.approx(cell.mean().item(), rel=1e-5)


def test_posterior_predictive(trained):
    _, model = trained
    draws = model.posterior_predictive_sample(n_samples=2)
    assert draws.shape == (240, 60, 2)
    assert (draws.todense() >= 0).all()


def test_sample(trained):
    spec, model = trained
    component = model.component_names_[-1]
    x = model.sample(50, component=component, library_size=200.0)
    assert x.shape == (50, 60)
    assert x.sum(axis=1).mean() == pytest.approx(200, rel=0.3)
    assert model.sample(4).shape == (4, 60)
    if "condition_key" in spec.setup:
        assert model.sample(4, condition="condition_1").shape == (4, 60)
    with pytest.raises(ValueError, match="expected one of the components"):
        model.sample(1, component="nobody")


def test_annotate(trained):
    _, model = trained
    other = cells(30, rng=1)
    model.annotate(other, key_added="mix")
    k = len(model.cluster_names_)
    assert other.obsm["X_mix"].shape == (30, 10)
    assert other.obsm["mix_probs"].shape == (30, k)
    assert isinstance(other.obs["mix"].dtype, pd.CategoricalDtype)
    confidence = other.obs["mix_confidence"]
    assert ((confidence >= 1 / k - 1e-6) & (confidence <= 1 + 1e-6)).all()
    assert np.isfinite(other.obs["mix_novelty"]).all()
    assert ("X_mix_w" in other.obsm) == bool(model.module.prior.n_style)
    assert other.uns["mix"]["weights"].sum() == pytest.approx(1)
    assert set(other.uns["mix"]["versions"]) >= {"mixvi", "scvi-tools", "torch"}
    assert "elbo_train" in other.uns["mix"]["history"]
    assert f"mixvi.model.{type(model).__name__}(" in other.uns["mix"]["call"]


def test_annotated_file_round_trip(trained, tmp_path):
    _, model = trained
    other = cells(30, rng=1)
    model.annotate(other, key_added="mix")
    del other.uns["_scvi_uuid"], other.uns["_scvi_manager_uuid"]
    other.write_h5ad(tmp_path / "cells.h5ad")
    back = anndata.read_h5ad(tmp_path / "cells.h5ad")
    pd.testing.assert_frame_equal(back.obsm["mix_probs"], other.obsm["mix_probs"])
    assert list(back.obs["mix"]) == list(other.obs["mix"])


def test_genes_are_matched_by_name(trained):
    _, model = trained
    adata = cells()
    expected = model.predict_proba(adata)
    reversed_ = adata[:, ::-1].copy()
    np.testing.assert_allclose(model.predict_proba(reversed_), expected, atol=1e-5)
    np.testing.assert_allclose(
        model.get_latent_representation(reversed_),
        model.get_latent_representation(adata),
        atol=1e-5,
    )
    assert list(reversed_.var_names) == list(adata.var_names[::-1])  # the input is left alone
    with pytest.raises(ValueError, match=r"missing: 'gene_\d+'"):
        model.predict(adata[:, 5:].copy())


def test_view_is_accepted(trained):
    _, model = trained
    adata = cells()
    view = adata[10:40]
    np.testing.assert_array_equal(model.predict(view), model.predict(adata)[10:40])


def test_unseen_batch_is_an_error(trained):
    _spec, model = trained
    adata = cells(20)
    adata.obs["batch"] = "elsewhere"
    with pytest.raises(ValueError, match="elsewhere"):
        model.predict(adata)


@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_layouts(trained, layout):
    _, model = trained
    adata = cells()
    expected = model.predict_proba(adata).to_numpy()
    adata = cells()
    adata.X = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "dense": lambda x: x.toarray()}[
        layout
    ](adata.X)
    np.testing.assert_allclose(model.predict_proba(adata), expected, atol=1e-5)


def test_sparse_loader(trained):
    _, model = trained
    dense = model.get_latent_representation()
    loader = model._make_data_loader(model.adata, load_sparse_tensor=True)
    np.testing.assert_allclose(model.get_latent_representation(dataloader=loader), dense, atol=1e-4)
    np.testing.assert_array_equal(model.predict(dataloader=loader), model.predict())


def test_backed(trained, tmp_path):
    spec, model = trained
    path = tmp_path / "cells.h5ad"
    cells().write_h5ad(path)
    backed = anndata.read_h5ad(path, backed="r")
    expected = model.predict(cells())
    np.testing.assert_array_equal(model.predict(backed), expected)
    own = spec.make(anndata.read_h5ad(path, backed="r"))
    own.train(**QUICK | {"max_epochs": 2})
    assert own.get_latent_representation().shape == (240, 10)


def test_registry(spec):
    model = spec.make(cells())
    registry_model = spec.cls(
        registry=model.registry, **{"n_components": 3, "n_hidden": 32, **spec.init}
    )
    loader = model._make_data_loader(model.adata)
    registry_model.is_trained_ = True
    assert registry_model.predict(dataloader=loader).shape == (240,)
    assert registry_model.get_latent_representation(dataloader=loader).shape == (240, 10)


def test_untrained_model_says_so(spec):
    model = spec.make(cells())
    with pytest.raises(RuntimeError, match=r"untrained.*train"):
        model.predict()


@pytest.mark.parametrize("how", ["with adata", "adata passed", "without adata"])
def test_save_load(trained, tmp_path, how):
    spec, model = trained
    model.save(tmp_path / "model", save_anndata=how == "with adata")
    adata = {"with adata": None, "adata passed": cells(), "without adata": False}[how]
    loaded = spec.cls.load(tmp_path / "model", adata=adata)
    query = cells() if how == "without adata" else None
    np.testing.assert_allclose(loaded.predict_proba(query), model.predict_proba(), atol=1e-5)
    assert repr(loaded) == repr(model)
    assert loaded.cluster_names_ == model.cluster_names_
    with pytest.raises(ValueError, match="already exists"):
        model.save(tmp_path / "model")


def test_minified(fresh, tmp_path):
    spec, model = fresh
    expected = model.predict_proba()
    latent = model.get_latent_representation()
    qzm, qzv = model.get_latent_representation(return_dist=True)
    model.adata.obsm["X_latent_qzm"], model.adata.obsm["X_latent_qzv"] = qzm, qzv
    model.minify_adata()
    assert "minified" in repr(model)
    np.testing.assert_allclose(model.predict_proba(), expected, atol=1e-4)
    np.testing.assert_allclose(model.get_latent_representation(), latent, atol=1e-5)
    assert model.get_normalized_expression().shape == (240, 60)
    model.annotate(key_added="mini")
    assert "X_mini_w" not in model.adata.obsm
    with pytest.raises(ValueError, match="minified"):
        model.get_elbo()
    with pytest.raises(ValueError, match="minif"):
        model.train()
    if model.module.prior.n_style:
        with pytest.raises(ValueError, match="style"):
            model.get_style_representation()
    model.save(tmp_path / "mini", save_anndata=True)
    loaded = spec.cls.load(tmp_path / "mini")
    np.testing.assert_allclose(loaded.predict_proba(), expected, atol=1e-4)


def test_same_seed_same_weights(spec):
    predictions = []
    for _ in range(2):
        scvi.settings.seed = 7
        model = spec.make(cells())
        model.train(**QUICK)
        predictions.append(model.predict_proba().to_numpy())
    np.testing.assert_array_equal(*predictions)


def test_history_names_every_term(trained):
    _, model = trained
    terms = ["kl_z"] + ["kl_y"] * (model.module.prior.n_components > 1)
    for name in ("elbo", "reconstruction_loss", "kl_local", *terms):
        for mode in ("train", "validation"):
            assert np.isfinite(model.history[f"{name}_{mode}"].to_numpy(dtype=float)).all()
    assert ("kl_w_train" in model.history) == bool(model.module.prior.n_style)
    if model.module.n_labels:
        assert "classification_train" in model.history


def test_training_goes_on(fresh):
    _, model = fresh
    before = model.get_components().means
    model.train(**QUICK | {"max_epochs": 1, "early_stopping": False})
    # joint training from where it was: no second start of the components
    assert np.abs(model.get_components().means - before).to_numpy().max() < 1
    assert not model.module.pretraining


def test_setup_is_shown(trained, capsys):
    _, model = trained
    model.view_anndata_setup()
    assert "setup_anndata" in capsys.readouterr().out


def test_repr_is_one_line(trained):
    spec, model = trained
    assert "\n" not in repr(model)
    assert repr(model).startswith(f"{spec.cls.__name__}(n_components=")
    assert repr(model).endswith("trained)")


def test_registers_only_what_is_there(spec):
    adata = cells()
    with pytest.raises(KeyError, match="batchh"):
        spec.cls.setup_anndata(adata, batch_key="batchh")
    adata.obs.loc[adata.obs_names[:3], "batch"] = np.nan
    with pytest.raises(ValueError, match=r"batch.*3 of 240"):
        spec.cls.setup_anndata(adata, batch_key="batch")


def test_manager_is_scvi_tools_own(trained):
    _, model = trained
    assert isinstance(model.adata_manager, AnnDataManager)
