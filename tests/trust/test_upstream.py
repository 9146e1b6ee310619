"""Defects measured in scvi-tools that no model of ours shares, a test for each."""

import gc
import warnings
import weakref

import anndata
import numpy as np
import pandas as pd
import pytest
import scvi
import torch
from lightning.pytorch import Callback
from tests.model.specs import QUICK, SPECS, cells

from mixvi.model import CGMDVAE, RMVE

pytestmark = pytest.mark.contract

BRIEF = QUICK | {"max_epochs": 1}
MODELS = pytest.mark.parametrize("name", ["CGMDVAE", "RMVE", "VAE"])
COVARIATES = {"batch_key": "batch", "categorical_covariate_keys": ["site"]}


def with_site(n_obs=240, rng=0):
    adata = cells(n_obs, rng=rng)
    adata.obs["site"] = np.random.default_rng(rng).choice(["here", "there"], n_obs)
    return adata


def trained(name, adata, **train):
    model = SPECS[name].make(adata)
    model.train(**BRIEF | train)
    return model


def with_covariates(cls, **init):
    adata = with_site()
    cls.setup_anndata(adata, **COVARIATES)
    model = cls(adata, n_components=3, n_hidden=16, **init)
    model.train(**QUICK)
    return model


@MODELS
def test_a1_a16_registry_can_be_viewed(name, capsys):
    model = SPECS[name].make(cells())
    model.view_registry()
    model.view_anndata_setup()
    assert capsys.readouterr().out.count("Data Registry") == 2


@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
@pytest.mark.parametrize("conditioning", ["decoder", "partial"])
@pytest.mark.filterwarnings("ignore:the query has no covariate")
def test_a2_columns_of_a_query_stay_aligned(cls, conditioning):
    """New batches and further covariates: what is decoded for known cells does not change."""
    model = with_covariates(cls, conditioning=conditioning)
    query = with_site(40, rng=1)
    query.obs["batch"] = [f"new_{i % 3}" for i in range(40)]
    mapped = cls.load_query_data(query, model)
    decoded = []
    for which in (model, mapped):
        scvi.settings.seed = 0
        decoded.append(which.get_normalized_expression(with_site()).to_numpy())
    np.testing.assert_allclose(decoded[1], decoded[0], rtol=1e-5)


@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
def test_a3_a_shared_batch_does_not_move_the_reference(cls):
    model = with_covariates(cls, conditioning="partial")
    before = model.get_latent_representation(with_site())
    query = with_site(40, rng=1)
    query.obs["batch"] = ["batch_0"] * 20 + ["new"] * 20
    mapped = cls.load_query_data(query, model)
    mapped.train(**QUICK)
    after = mapped.get_latent_representation(with_site())
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)


@MODELS
def test_a4_genes_in_another_order(name):
    model = trained(name, cells())
    np.testing.assert_allclose(
        model.get_latent_representation(cells()[:, ::-1].copy()),
        model.get_latent_representation(),
        atol=1e-5,
    )
    renamed = cells()
    renamed.var_names = [f"other_{i}" for i in range(60)]
    with pytest.raises(ValueError, match="missing"):
        model.get_latent_representation(renamed)


@MODELS
def test_a5_cells_weigh_alike_in_a_mean(name):
    model = trained(name, cells())
    found = []
    for return_mean in (True, False):
        scvi.settings.seed = 0
        found.append(
            model.get_marginal_ll(
                indices=np.arange(130), n_mc_samples=2, batch_size=128, return_mean=return_mean
            )
        )
    assert found[0] == pytest.approx(found[1].mean().item(), rel=1e-5)


class Seen(Callback):
    n_epochs = 0

    def on_train_epoch_end(self, trainer, pl_module):
        self.n_epochs += 1


@pytest.mark.parametrize("name", ["CGMDVAE-labels", "RMVE-labels"])
def test_a6_supervision_survives_callbacks(name):
    found = []
    for callbacks in ([], [Seen()]):
        scvi.settings.seed = 0
        model = trained(name, cells(), callbacks=callbacks)
        found.append(model.history["classification_train"].to_numpy(dtype=float))
    assert callbacks[0].n_epochs == 1
    np.testing.assert_array_equal(*found)


@MODELS
def test_a7_rows_of_a_file_come_as_they_were_asked_for(name, tmp_path):
    cells().write_h5ad(tmp_path / "cells.h5ad")
    model = trained(name, cells())
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    rows = [200, 3, 3, 77, 0]
    whole = model.get_latent_representation()
    found = model.get_latent_representation(backed, indices=rows)
    np.testing.assert_allclose(found, whole[rows], atol=1e-5)


@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
def test_a8_mixtures_with_further_covariates(cls):
    assert np.isfinite(with_covariates(cls).get_marginal_ll(n_mc_samples=2))


@pytest.mark.parametrize("name", ["CGMDVAE-labels", "RMVE-labels"])
def test_a9_supervised_models_load_without_cells(name, tmp_path):
    model = trained(name, cells())
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model", adata=False)
    np.testing.assert_allclose(loaded.predict_proba(cells()), model.predict_proba(), atol=1e-6)


@MODELS
def test_a10_samples_from_all_cells_as_a_table(name):
    model = trained(name, cells())
    genes = ["gene_4", "gene_2"]
    frame = model.get_normalized_expression(n_samples_overall=7, gene_list=genes)
    assert frame.shape == (7, 2)
    assert list(frame) == ["gene_2", "gene_4"]  # in the order of the cells' genes, as elsewhere
    scvi.settings.seed = 0
    np.random.seed(0)  # noqa: NPY002  scvi-tools draws with it
    frame = model.get_normalized_expression(n_samples_overall=7)
    np.random.seed(0)  # noqa: NPY002
    scvi.settings.seed = 0
    array = model.get_normalized_expression(n_samples_overall=7, return_numpy=True)
    np.testing.assert_array_equal(frame.to_numpy(), array)


@MODELS
def test_a11_one_cell_in_the_last_mini_batch(name):
    adata = cells(129)
    model = SPECS[name].make(adata)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Last batch will have a small size")
        model.train(**BRIEF | {"batch_size": 128}, train_size=1.0)
    assert np.isfinite(model.get_latent_representation()).all()


@MODELS
def test_a12_missing_batch_is_named(name):
    adata = cells()
    adata.obs["batch"] = adata.obs["batch"].astype(object)
    adata.obs.iloc[:3, adata.obs.columns.get_loc("batch")] = np.nan
    setup = {"batch_key": "batch"}
    with pytest.raises(ValueError, match=r"batch.*3 of 240 cells without one"):
        SPECS[name].cls.setup_anndata(adata, **setup)


@MODELS
def test_a13_cells_are_freed(name):
    adata = cells()
    model = trained(name, adata)
    seen = weakref.ref(adata)
    del adata, model
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
def test_a14_new_batches_of_a_query_are_learned(cls):
    model = with_covariates(cls)
    query = with_site(80, rng=1)
    query.obs["batch"] = "new"
    mapped = cls.load_query_data(query, model)
    before = {name: value.clone() for name, value in mapped.module.state_dict().items()}
    mapped.train(**QUICK)
    moved = [
        name for name, v in mapped.module.state_dict().items() if not torch.equal(v, before[name])
    ]
    assert moved
    assert set(moved) <= set(mapped.query_weights_)


@pytest.mark.parametrize("name", ["CGMDVAE", "RMVE"])
def test_a15_likelihoods_use_the_mixture(name):
    """log p(x) of a model whose components are far from 0, where N(0, I) would be far off."""
    model = trained(name, cells())
    adata = cells()
    with torch.no_grad():
        low = model.get_marginal_ll(adata, n_mc_samples=50)
        model.module.prior.components.loc += 30
        moved = model.get_marginal_ll(adata, n_mc_samples=50)
    assert moved < low - 100


@pytest.mark.parametrize("name", ["CGMDVAE-labels", "RMVE-labels"])
def test_a17_loaders_without_covariates_supervise(name):
    """Mini-batches of a loader that knows no further covariates are learned from."""
    model = SPECS[name].make(cells())
    tensors = next(iter(model._make_data_loader(model.adata, batch_size=240)))
    tensors = {key: tensors[key] for key in ("X", "batch", "labels")}
    _, _, output = model.module(tensors)
    known = (tensors["labels"].ravel() < 3).sum()
    assert known > 0
    assert output.extra_metrics["classification"] > 0


@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
def test_further_covariates_keep_their_codes(cls):
    """Found here: new cells whose categories are in another order were read as others."""
    model = with_covariates(cls, conditioning="partial")
    other = with_site()
    for key in ("batch", "site"):
        names = sorted(set(other.obs[key]), reverse=True)
        other.obs[key] = pd.Categorical(other.obs[key].astype(str), categories=names)
    np.testing.assert_allclose(
        model.get_latent_representation(other), model.get_latent_representation(), atol=1e-6
    )


def test_unknown_further_category_is_named():
    model = with_covariates(RMVE)
    other = with_site()
    other.obs["site"] = other.obs["site"].replace({"there": "nowhere"})
    with pytest.raises(ValueError, match="nowhere"):
        model.predict(other)


@MODELS
def test_aggregated_posterior_has_standard_deviations(name):
    """scvi-tools 1.4.2 takes variances for them."""
    model = trained(name, cells())
    _, variance = model.get_latent_representation(return_dist=True)
    parts = model.get_aggregated_posterior(dof=None, indices=list(range(240)))
    scale = parts.component_distribution.base_dist.scale
    np.testing.assert_allclose(scale.numpy() ** 2, variance, rtol=1e-5)


@MODELS
def test_warmup_ends(name):
    """scvi-tools weighs the divergences fully after 400 epochs, which large data never see."""
    model = SPECS[name].make(cells())
    model.train(**QUICK | {"max_epochs": 8}, early_stopping=False)
    assert model.history["kl_weight"].iloc[-1].item() == 1
