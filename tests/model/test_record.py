"""What is kept about a run: it can be written to a file, read, and run again."""

import ast

import anndata as ad
import numpy as np
import pytest
from tests.model.specs import QUICK, SPECS, cells

import mixvi
from mixvi import tl
from mixvi.model.record import call


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"a": 1, "b": "x", "c": None, "d": {}}, "f(adata, a=1, b='x')"),
        ({"a": {"b": None, "enable_progress_bar": False, "c": [1]}}, "f(adata, a={'c': [1]})"),
        ({"rng": np.random.default_rng(0), "a": object()}, "f(adata)"),
        ({"a": True, "b": 0.1}, "f(adata, a=True, b=0.1)"),
    ],
)  # fmt: skip
def test_call(arguments, text):
    assert call("f", "adata", **arguments) == text


def test_long_calls_are_broken():
    text = call("f", "adata", **{f"argument_{i}": "x" * 20 for i in range(5)})
    assert text.count("\n") == 7
    assert isinstance(ast.parse(text).body[0].value, ast.Call)


@pytest.fixture(scope="module")
def trained():
    model = SPECS["CGMDVAE-labels"].make(cells())
    model.train(**QUICK)
    return model


def test_record_survives_a_file(trained, tmp_path):
    other = cells(30, rng=1)
    trained.annotate(other, key_added="mix")
    del other.uns["_scvi_uuid"], other.uns["_scvi_manager_uuid"]
    other.write_h5ad(tmp_path / "cells.h5ad")
    run = ad.read_h5ad(tmp_path / "cells.h5ad").uns["mix"]
    assert run["setup"] == {
        "batch_key": "batch",
        "labels_key": "labels",
        "unlabeled_category": "unknown",
    }
    assert run["params"]["components_per_label"] == 2
    assert run["n_genes"] == trained.adata.n_vars
    assert run["max_epochs"] == QUICK["max_epochs"]
    assert {len(curve) for curve in run["history"].values()} == {QUICK["max_epochs"]}
    elbo = trained.history["elbo_train"].to_numpy(dtype=float).ravel()
    np.testing.assert_allclose(run["history"]["elbo_train"], elbo)


def test_a_term_that_begins_later_is_missing_before(trained):
    history = trained.history["kl_y_train"]
    trained.annotate(other := cells(30, rng=1))
    kept = other.uns["cgmdvae"]["history"]["kl_y_train"]
    first = QUICK["max_epochs"] - len(history)
    assert np.isnan(kept[:first]).all()
    np.testing.assert_allclose(kept[first:], history.to_numpy(dtype=float).ravel())


def test_loaded_models_keep_their_curves(trained, tmp_path):
    trained.save(tmp_path / "model")
    loaded = type(trained).load(tmp_path / "model", adata=cells())
    runs = []
    for model in (trained, loaded):
        model.annotate(other := cells(30, rng=1))
        runs.append(other.uns["cgmdvae"])
    for name, curve in runs[0]["history"].items():
        np.testing.assert_array_equal(runs[1]["history"][name], curve)
    assert runs[0]["call"] == runs[1]["call"]


def test_the_call_makes_the_same_model(trained):
    trained.annotate(other := cells(30, rng=1))
    text = other.uns["cgmdvae"]["call"].replace("max_epochs=4", f"**{QUICK!r}")
    names = {"mixvi": mixvi, "adata": cells()}
    exec(text, names)
    assert repr(names["model"]) == repr(trained)
    assert names["model"].init_params_["non_kwargs"] == trained.init_params_["non_kwargs"]


def test_the_call_of_a_tool_gives_the_same_clusters():
    first, second = cells(), cells()
    tl.rmve(first, 3, batch_key="batch", rng=5, key_added="mix", train_kwargs=QUICK)
    exec(first.uns["mix"]["call"], {"mixvi": mixvi, "adata": second})
    np.testing.assert_array_equal(first.obsm["X_mix"], second.obsm["X_mix"])
    assert first.uns["mix"]["call"] == second.uns["mix"]["call"]
