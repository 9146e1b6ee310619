"""Cells under another condition, for every model that knows conditions."""

import numpy as np
import pytest
import scvi
import torch
from tests.model.specs import QUICK, SPECS, Spec, cells

from mixvi.model import CGMDVAE, RMVE

TARGET = {"condition": "condition_1"}
LABELED = {"condition_key": "condition", "labels_key": "component"}
OWN_SPECS = {
    "latent": Spec(CGMDVAE, LABELED, {"condition_effect": "latent", "n_components": 4}),
    "RMVE-latent": Spec(RMVE, LABELED, {"condition_effect": "latent", "n_components": 4}),
}
WITH_CONDITION = {
    name: spec for name, spec in SPECS.items() if "condition_key" in spec.setup
} | OWN_SPECS


@pytest.fixture(params=WITH_CONDITION, scope="module")
def trained(request):
    spec = WITH_CONDITION[request.param]
    scvi.settings.seed = 0
    model = spec.make(cells())
    model.train(**QUICK)
    return spec, model


@pytest.fixture(scope="module")
def latent():
    scvi.settings.seed = 0
    model = OWN_SPECS["latent"].make(cells())
    model.train(**QUICK)
    return model


@pytest.mark.contract
def test_result(trained):
    _, model = trained
    adata = model.adata
    result = model.predict_counterfactual(None, TARGET, n_samples=3, draw_counts=True)
    assert result.shape == adata.shape
    assert list(result.obs_names) == list(adata.obs_names)
    assert list(result.var_names) == list(adata.var_names)
    assert set(result.obs["condition"]) == {"condition_1"}
    assert set(adata.obs["condition"]) == {"condition_0", "condition_1"}  # the input is left alone
    assert result.obsm["X_counterfactual"].shape == (240, 10)
    np.testing.assert_allclose(result.X.sum(1), 1e4, rtol=1e-3)
    assert (result.layers["std"] >= 0).all()
    assert (result.layers["lower"] <= result.layers["upper"]).all()
    drawn = result.layers["counts"]
    np.testing.assert_array_equal(drawn, drawn.round())
    moved = (adata.obs["condition"] == "condition_0").to_numpy()
    change = np.abs(result.X - result.layers["source"]).max(1)
    assert (change[moved] > 0).all()


@pytest.mark.contract
@pytest.mark.parametrize("scale", ["rate", "log"])
def test_own_condition_is_the_ordinary_reconstruction(trained, scale):
    _, model = trained
    own = (model.adata.obs["condition"] == "condition_1").to_numpy()
    result = model.predict_counterfactual(None, TARGET, anchor=0.5, scale=scale)
    np.testing.assert_array_equal(result.X[own], result.layers["source"][own])
    np.testing.assert_array_equal(
        result.obsm["X_counterfactual"][own], model.get_latent_representation()[own]
    )
    if scale == "rate":
        with torch.inference_mode():
            tensors = next(iter(model._make_data_loader(model.adata, batch_size=240)))
            outputs = model.module.inference(**model.module._get_inference_input(tensors))
            depth = torch.zeros(240, 1)
            px = model.module.generative(outputs["qz"].loc, depth, outputs["c"])["px"]
        np.testing.assert_allclose(result.X[own], 1e4 * px.mean.numpy()[own], rtol=1e-4)


@pytest.mark.contract
def test_a_latent_shift_changes_what_is_decoded(trained):
    """Batch normalization in training mode would take the shift out again."""
    _, model = trained
    result = model.predict_counterfactual(None, TARGET, library_size=1.0)
    moved = (model.adata.obs["condition"] == "condition_0").to_numpy()
    z = torch.as_tensor(result.obsm["X_source"][moved])
    shift = torch.as_tensor(result.obsm["X_counterfactual"][moved]) - z
    assert shift.abs().max() > 1e-3
    assert not model.module.training
    c = torch.zeros(len(z), len(model.module.covariates))
    with torch.inference_mode():
        before, after = (
            model.module.generative(point, torch.zeros(len(z), 1), c)["px"].mean
            for point in (z, z + shift)
        )
    assert ((before - after).abs().max(1).values > 1e-6).all()


@pytest.mark.contract
def test_subset_and_dataloader(trained):
    _, model = trained
    whole = model.predict_counterfactual(None, TARGET)
    rows = np.array([17, 3, 200])
    part = model.predict_counterfactual(None, TARGET, indices=rows, batch_size=2)
    np.testing.assert_allclose(part.X, whole.X[rows], rtol=1e-3, atol=1e-3)
    assert list(part.obs_names) == list(whole.obs_names[rows])
    loader = model._make_data_loader(model.adata, batch_size=50)
    by_loader = model.predict_counterfactual(None, TARGET, dataloader=loader)
    np.testing.assert_allclose(by_loader.X, whole.X, rtol=1e-3, atol=1e-3)


@pytest.mark.contract
def test_saved_and_minified(trained, tmp_path):
    spec, model = trained
    expected = model.predict_counterfactual(None, TARGET)
    model.save(tmp_path / "model")
    loaded = spec.cls.load(tmp_path / "model", adata=cells())
    again = loaded.predict_counterfactual(None, TARGET)
    np.testing.assert_allclose(again.X, expected.X, rtol=1e-3, atol=1e-3)
    bare = spec.cls.load(tmp_path / "model", adata=False)
    with pytest.raises(ValueError, match="reference="):
        bare.predict_counterfactual(cells(), TARGET)
    given = bare.predict_counterfactual(cells(), TARGET, reference=cells())
    np.testing.assert_allclose(given.X, expected.X, rtol=1e-3, atol=1e-3)
    qzm, qzv = loaded.get_latent_representation(return_dist=True)
    loaded.adata.obsm["X_latent_qzm"], loaded.adata.obsm["X_latent_qzv"] = qzm, qzv
    loaded.minify_adata()
    small = loaded.predict_counterfactual(None, TARGET)
    np.testing.assert_allclose(small.X, expected.X, rtol=1e-2, atol=1e-1)
    for options in ({"anchor": 0.5}, {"scale": "log"}):
        with pytest.raises(ValueError, match="minified"):
            loaded.predict_counterfactual(None, TARGET, **options)


def test_routes(trained):
    _, model = trained
    conditioned = getattr(model.module.prior, "conditioned", False)
    if conditioned:
        z = model.predict_counterfactual(None, TARGET, route="prior").obsm["X_counterfactual"]
        assert np.isfinite(z).all()
    else:
        with pytest.raises(ValueError, match="conditioning='full'"):
            model.predict_counterfactual(None, TARGET, route="prior")
    if model.module.covariates.n_condition == 1:
        with pytest.raises(ValueError, match="condition_effect='latent'"):
            model.predict_counterfactual(None, TARGET, route="decoder")
    else:
        flipped = model.predict_counterfactual(None, TARGET, route="decoder")
        np.testing.assert_array_equal(flipped.obsm["X_counterfactual"], flipped.obsm["X_source"])
        moved = (model.adata.obs["condition"] == "condition_0").to_numpy()
        assert (np.abs(flipped.X - flipped.layers["source"]).max(1)[moved] > 0).all()


def test_type_never_seen_in_the_target(latent):
    """The stimulated cells of a type are left out; it borrows, and is less certain."""
    adata = cells()
    unseen = (adata.obs["component"] == "component_0") & (adata.obs["condition"] == "condition_1")
    reference = adata[~unseen.to_numpy()].copy()
    shown = adata[(adata.obs["condition"] == "condition_0").to_numpy()].copy()
    result = latent.predict_counterfactual(shown, TARGET, reference=reference, n_samples=20)
    found = result.uns["counterfactual"]["shifts"]["condition_0"]
    assert list(found["measured"][:3]) == [False, True, True]
    np.testing.assert_allclose(found["weights"][0].sum(), 1)
    of_type = (shown.obs["component"] == "component_0").to_numpy()
    shift = result.obsm["X_counterfactual"] - result.obsm["X_source"]
    assert np.abs(shift[of_type]).max() > 0


def test_errors(latent):
    with pytest.raises(KeyError, match=r"'condition'.*'stim'"):
        latent.predict_counterfactual(None, {"stim": "condition_1"})
    with pytest.raises(ValueError, match=r"condition_0.*'elsewhere'"):
        latent.predict_counterfactual(None, {"condition": "elsewhere"})
    with pytest.raises(ValueError, match="nan"):
        latent.predict_counterfactual(None, {"condition": np.nan})
    with pytest.raises(ValueError, match="empty mapping"):
        latent.predict_counterfactual(None, {})
    with pytest.raises(TypeError, match="mapping"):
        latent.predict_counterfactual(None, "condition_1")
    for options, message in (
        ({"anchor": 2}, "anchor from 0 to 1"),
        ({"library_size": 0}, "library_size"),
        ({"n_samples": -1}, "n_samples"),
        ({"route": "teleport"}, "route"),
        ({"scale": "sqrt"}, "scale"),
    ):
        with pytest.raises(ValueError, match=message):
            latent.predict_counterfactual(None, TARGET, **options)
    control = cells()
    control = control[(control.obs["condition"] == "condition_0").to_numpy()].copy()
    with pytest.raises(ValueError, match=r"0 cells in all"):
        latent.predict_counterfactual(None, TARGET, reference=control)


def test_nothing_registered():
    adata = cells()
    CGMDVAE.setup_anndata(adata)
    model = CGMDVAE(adata, n_components=3)
    with pytest.raises(ValueError, match=r"none registered.*condition_key"):
        model.predict_counterfactual(None, TARGET)
