"""Cells of a MuData: one modality of it is the model's."""

import inspect

import anndata
import mudata
import numpy as np
import pytest
import scvi
from tests.model.specs import QUICK, cells

pytestmark = [
    pytest.mark.contract,
    pytest.mark.filterwarnings("ignore:From 0.4 .update:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword"),
]
BRIEF = QUICK | {"max_epochs": 1}


def both_of(rna, n_proteins=240):
    """RNA, and proteins of cells of which ten have no RNA."""
    proteins = cells(n_proteins + 10, rng=1)[10:].copy()
    proteins.var_names = [f"protein_{i}" for i in range(60)]
    proteins.obs_names = [*rna.obs_names[10:], *(f"protein_only_{i}" for i in range(10))][
        : proteins.n_obs
    ]
    return mudata.MuData({"protein": proteins, "rna": rna})


@pytest.fixture
def made(spec):
    """(spec, MuData, model)."""
    mdata = both_of(cells())
    spec.cls.setup_mudata(mdata, "rna", **spec.setup)
    scvi.settings.seed = 0
    model = spec.cls(mdata, **{"n_components": 3, "n_hidden": 32, **spec.init})
    model.train(**BRIEF)
    return spec, mdata, model


def test_model_is_that_of_the_modality(made):
    """Cells without RNA are nobody's; results are with the RNA."""
    spec, mdata, model = made
    assert model.adata is mdata["rna"]
    assert mdata.n_obs == 250
    scvi.settings.seed = 0
    alone = spec.make(cells())
    alone.train(**BRIEF)
    expected = alone.predict_proba()
    np.testing.assert_allclose(model.predict_proba(mdata), expected)
    np.testing.assert_allclose(model.predict_proba(), expected)
    np.testing.assert_allclose(model.predict_proba(mdata["rna"]), expected)
    model.annotate(mdata, key_added="mix")
    assert "mix" in mdata["rna"].obs
    assert "mix" not in mdata["protein"].obs
    mdata.pull_obs()
    assert mdata.obs["rna:mix"].notna().sum() == 240


def test_every_method_takes_it(made):
    """None that takes cells is left out, scvi-tools' own among them."""
    _, mdata, model = made
    takes = {"adata", "args"}
    takers = {
        name
        for name, method in inspect.getmembers(model, inspect.ismethod)
        if not name.startswith("_")
        and method.__self__ is model
        and inspect.signature(method).parameters.keys() & takes
    }
    assert {"predict", "get_novelty", "get_elbo", "differential_expression"} <= takers
    for name in takers:
        assert getattr(type(model), name).__wrapped__
    for name in ("get_latent_representation", "get_novelty", "get_reconstruction_error"):
        scvi.settings.seed = 0
        expected = getattr(model, name)(mdata["rna"])
        scvi.settings.seed = 0
        found = getattr(model, name)(adata=mdata)
        if isinstance(expected, dict):
            expected, found = list(expected.values()), list(found.values())
        np.testing.assert_allclose(found, expected)
    assert model.get_normalized_expression(mdata, indices=[3]).index[0] == mdata["rna"].obs_names[3]


def test_columns_of_the_whole(spec):
    """``mdata.obs`` has what a modality lacks, for the cells that the modality has."""
    rna = cells()
    columns = rna.obs[["batch", "condition", "labels"]]
    rna.obs = rna.obs.drop(columns=columns.columns)
    mdata = both_of(rna)
    for name in columns:
        mdata.obs[name] = columns[name].reindex(mdata.obs_names)
    spec.cls.setup_mudata(mdata, "rna", **spec.setup)
    scvi.settings.seed = 0
    model = spec.cls(mdata, **{"n_components": 3, "n_hidden": 32, **spec.init})
    model.train(**BRIEF)
    scvi.settings.seed = 0
    expected = spec.make(cells())
    expected.train(**BRIEF)
    np.testing.assert_allclose(model.predict_proba(), expected.predict_proba())


def test_saved_and_mapped(made, tmp_path):
    """The modality is known to the saved model, and to what is mapped onto it."""
    spec, mdata, model = made
    expected = model.predict_proba()
    model.save(tmp_path / "model")
    loaded = spec.cls.load(tmp_path / "model", adata=mdata)
    np.testing.assert_allclose(loaded.predict_proba(), expected)
    assert loaded.modality_ == "rna"
    # an AnnData is as good
    other = spec.cls.load(tmp_path / "model", adata=mdata["rna"])
    np.testing.assert_allclose(other.predict_proba(), expected)
    new = both_of(cells(rng=2))
    np.testing.assert_allclose(loaded.predict_proba(new), model.predict_proba(new["rna"]))
    for reference in (model, tmp_path / "model"):
        query = spec.cls.load_query_data(new, reference)
        assert query.adata is new["rna"]
        np.testing.assert_allclose(query.predict_proba(new), model.predict_proba(new["rna"]))


def test_what_is_missing(spec, tmp_path):
    mdata = both_of(cells())
    model_cls = spec.cls
    with pytest.raises(KeyError, match=r"'protein', 'rna'.*found 'atac'"):
        model_cls.setup_mudata(mdata, "atac")
    with pytest.raises(TypeError, match=r"expected a MuData, found AnnData; .*setup_anndata"):
        model_cls.setup_mudata(mdata["rna"], "rna")
    with pytest.raises(KeyError, match="'donor'"):
        model_cls.setup_mudata(mdata, "rna", batch_key="donor")
    for call in (lambda: model_cls.setup_anndata(mdata), lambda: model_cls(mdata)):
        with pytest.raises(TypeError, match=r"found MuData; take one modality: mdata\['protein'\]"):
            call()
    model = spec.make(mdata["rna"])
    model.train(**BRIEF)
    assert model.modality_ is None
    with pytest.raises(TypeError, match="found MuData"):
        model.predict(mdata)  # nobody said which
    model.save(tmp_path / "model")
    with pytest.raises(TypeError, match="found MuData"):
        model_cls.load(tmp_path / "model", adata=mdata)
    model_cls.setup_mudata(mdata, "rna", **spec.setup)
    with_name = model_cls(mdata, **{"n_components": 3, "n_hidden": 32, **spec.init})
    with_name.train(**BRIEF)
    with pytest.raises(KeyError, match=r"'protein'.*found 'rna'"):
        with_name.predict(mudata.MuData({"protein": mdata["protein"]}))


def test_columns_with_gaps(spec):
    """A batch that some of the cells lack is an error, not a category."""
    rna = cells()
    batch = rna.obs["batch"].iloc[5:]
    rna.obs = rna.obs.drop(columns="batch")
    mdata = mudata.MuData({"rna": rna, "protein": anndata.AnnData(np.ones((3, 2)))})
    mdata.obs["batch"] = batch.reindex(mdata.obs_names)
    with pytest.raises(ValueError, match="batch"):
        spec.cls.setup_mudata(mdata, "rna", batch_key="batch")
