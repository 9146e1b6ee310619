"""However cells are handed over: columns, layers, layouts, files, data modules, modalities."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scvi
from anndata.experimental import AnnCollection
from scipy import sparse
from tests.model.datamodules import OwnData
from tests.model.specs import QUICK, SPECS, cells

from mixvi.model import CGMDVAE

pytestmark = pytest.mark.contract

BRIEF = QUICK | {"max_epochs": 1}
SMALL = {"n_components": 3, "n_hidden": 32}


def from_loader(model, loader):
    """Everything that can be asked of cells that are in no AnnData."""
    rows = list(range(5))
    return {
        "latent": model.get_latent_representation(dataloader=loader),
        "probs": model.predict_proba(dataloader=loader).to_numpy(),
        "novelty": model.get_novelty(dataloader=loader),
        "novel": model.is_novel(dataloader=loader),
        "profiles": model.get_component_profiles(dataloader=loader).to_numpy(),
        "components": model.get_components(dataloader=loader).means.to_numpy(),
        "depth": model.get_latent_library_size(dataloader=loader, give_mean=False),
        "aggregated": model.get_aggregated_posterior(dataloader=loader).mean[rows].numpy(),
    }


def test_cells_come_as_an_iterator(trained):
    _, model = trained
    expected = from_loader(model, None)
    loader = model._make_data_loader(model.adata, batch_size=50)
    for name, found in from_loader(model, loader).items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_model_without_an_anndata(spec):
    adata = cells()
    labels = ["component_0", "component_1", "component_2"] if "labels_key" in spec.setup else []
    module = OwnData(adata, labels=labels)
    model = spec.cls(registry=module.registry, **SMALL | spec.init)
    model.train(**BRIEF, datamodule=module)
    loader = module.inference_dataloader()
    found = from_loader(model, loader)
    assert found["latent"].shape == (240, 10)
    np.testing.assert_allclose(found["probs"].sum(1), 1, rtol=1e-5)
    assert np.isfinite(model.get_marginal_ll(dataloader=loader, n_mc_samples=2))
    if labels:
        assert model._known_labels() == labels
        assert model.history["classification_train"].notna().to_numpy().all()
    with pytest.raises(ValueError, match="dataloader"):
        model.predict()


def test_saved_without_an_anndata(spec, tmp_path):
    module = OwnData(cells())
    model = spec.cls(registry=module.registry, **SMALL | {**spec.init, "n_components": 3})
    model.train(**BRIEF, datamodule=module)
    model.save(tmp_path / "model")
    loaded = spec.cls.load(tmp_path / "model", adata=False)
    loader = module.inference_dataloader()
    np.testing.assert_allclose(
        loaded.predict_proba(dataloader=loader), model.predict_proba(dataloader=loader), atol=1e-6
    )


def test_collection_of_files(trained, tmp_path):
    """Cells that stay in several files, and are read a few at a time."""
    _, model = trained
    files = [tmp_path / "first.h5ad", tmp_path / "second.h5ad"]
    cells()[:100].copy().write_h5ad(files[0])
    cells()[100:].copy().write_h5ad(files[1])
    collection = AnnCollection([anndata.read_h5ad(file, backed="r") for file in files])

    def batches():
        for start in range(0, 240, 70):
            rows = collection[start : start + 70]
            part = anndata.AnnData(
                rows.X,
                pd.DataFrame({key: rows.obs[key] for key in collection.obs}),
                model.adata.var,
            )
            yield from model._make_data_loader(model._validate_anndata(part))

    found = model.predict_proba(dataloader=batches())
    np.testing.assert_allclose(found, model.predict_proba(), atol=1e-5)


def test_another_anndata_takes_its_place(fresh):
    _, model = fresh
    expected = model.predict_proba(cells(50, rng=3))
    model.adata = cells(50, rng=3)
    assert model.predict().shape == (50,)
    np.testing.assert_allclose(model.predict_proba(), expected, atol=1e-6)
    model.deregister_manager()
    with pytest.raises(ValueError, match="setup_anndata"):
        type(model)(cells(50, rng=4))


def test_setup_anew(spec):
    """Another setup, of another layer, is another model; the first stays what it was."""
    adata = cells()
    first = spec.make(adata)
    first.train(**BRIEF)
    before = first.predict_proba()
    adata.layers["counts"] = adata.X.copy()
    adata.obs["batch"] = ["one", "two"] * 120
    spec.cls.setup_anndata(adata, **spec.setup | {"layer": "counts"})
    second = spec.cls(adata, **SMALL | spec.init)
    assert second.registry["setup_args"]["layer"] == "counts"
    if "batch_key" in spec.setup:
        assert list(second._categories("batch")) == ["one", "two"]
    np.testing.assert_array_equal(first.predict_proba(cells()), before)


LAYOUTS = {
    "csc array": (sparse.csc_array, False),
    "csr array": (sparse.csr_array, True),
    "dense": (lambda X: X.toarray(), True),
}


def test_layouts_train_alike(spec):
    """Whatever the layout, with sparse and dense mini-batches, the same model."""
    found = {}
    for name, (layout, load_sparse_tensor) in {"csr": (sparse.csr_matrix, True), **LAYOUTS}.items():
        adata = cells(100)
        adata.X = layout(adata.X)
        scvi.settings.seed = 0
        model = spec.make(adata)
        model.train(**BRIEF, load_sparse_tensor=load_sparse_tensor)
        found[name] = model.get_latent_representation(cells(100))
    first = found.pop("csr")
    for name, latent in found.items():
        np.testing.assert_allclose(latent, first, rtol=1e-3, atol=1e-3, err_msg=str(name))


def test_trained_from_a_file(spec, tmp_path):
    """A file that may only be read: the model that memory gives, through every accessor."""
    cells().write_h5ad(tmp_path / "cells.h5ad")
    models = []
    for backed in (None, "r"):
        scvi.settings.seed = 0
        models.append(spec.make(anndata.read_h5ad(tmp_path / "cells.h5ad", backed=backed)))
        models[-1].train(**BRIEF)
    inside, outside = (from_loader(model, None) for model in models)
    for name, value in inside.items():
        np.testing.assert_allclose(outside[name], value, rtol=1e-3, atol=1e-3, err_msg=name)
    assert models[1].get_normalized_expression().shape == (240, 60)
    table = models[1].differential_expression(groupby="batch", silent=True, all_stats=False)
    assert len(table) == 120
    with pytest.raises(ValueError, match=r"found a file.*all_stats=False"):
        models[1].differential_expression(groupby="batch", silent=True)


WAYS = [
    (name, way)
    for name, spec in SPECS.items()
    for way in ("decoder", "partial", "full")
    if way != "full" or spec.cls is CGMDVAE
]


@pytest.mark.parametrize(("name", "conditioning"), WAYS)
def test_all_covariates_at_once(name, conditioning):
    spec = SPECS[name]
    adata = cells()
    rng = np.random.default_rng(0)
    for name, n in (("site", 2), ("kit", 3)):
        adata.obs[name] = rng.choice(list("abc")[:n], 240)
    adata.obs["age"], adata.obs["dose"] = rng.normal(size=(2, 240))
    adata.obs["size"] = rng.uniform(0.5, 2, 240)
    setup = spec.setup | {
        "categorical_covariate_keys": ["site", "kit"],
        "continuous_covariate_keys": ["age", "dose"],
        "size_factor_key": "size",
    }
    spec.cls.setup_anndata(adata, **setup)
    model = spec.cls(adata, **SMALL | spec.init | {"conditioning": conditioning})
    model.train(**BRIEF)
    assert np.isfinite(model.get_latent_representation()).all()
    assert np.isfinite(model.get_normalized_expression().to_numpy()).all()
    # the covariates reach the decoder
    other = adata.copy()
    other.obs["age"] = other.obs["age"] + 5
    scvi.settings.seed = 0
    before = model.get_normalized_expression(adata)
    scvi.settings.seed = 0
    assert not np.allclose(model.get_normalized_expression(other), before)


def test_fields_are_transferred(trained):
    """Categories of new cells get the codes of the model's, whatever their order."""
    _, model = trained
    other = cells()[::-1].copy()
    for key in ("batch", "condition"):  # a batch is a further covariate in one of the models
        names = sorted(other.obs[key].unique(), reverse=True)
        other.obs[key] = other.obs[key].astype(str).astype("category").cat.set_categories(names)
    expected = model.predict_proba(cells()).iloc[::-1]
    np.testing.assert_allclose(model.predict_proba(other), expected, atol=1e-5)


def test_registry_is_printed(trained, capsys):
    _, model = trained
    model.view_registry()
    model.view_registry(hide_state_registries=True)
    assert "Data Registry" in capsys.readouterr().out
