"""Everything a user may hand in: the right result, or one sentence; and never a changed input."""

import os
import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scvi
from scipy import sparse
from tests.trust.cells import (
    N_CELLS,
    N_GENES,
    QUICK,
    SMALL,
    cells,
    contents,
    edited,
    files,
    in_parts,
    unsorted,
    with_column,
    with_entry,
    with_matrix,
    with_stored_zeros,
)

from mixvi import tl
from mixvi.distributions.sparse import is_sparse
from mixvi.model import CGMDVAE, RMVE
from mixvi.pl._columns import probabilities

pytestmark = [
    pytest.mark.contract,
    # of anndata and scvi-tools, about exactly what is done here
    pytest.mark.filterwarnings("ignore:.*names are not unique"),
    pytest.mark.filterwarnings("ignore:.*the matrix subclass"),
    pytest.mark.filterwarnings("ignore:X should not be a np.matrix"),
    pytest.mark.filterwarnings("ignore:.* of view, initializing view as actual"),
    pytest.mark.filterwarnings("ignore:.*contains a category with fewer than 3 cells"),
    pytest.mark.filterwarnings("ignore:.*fewer than 3 cells"),
    pytest.mark.filterwarnings("ignore:.*will have a small size"),
]

HALF = N_CELLS // 2


def fit(adata, model=None, *, cls=RMVE, init=None, train=None, **setup):
    """Setup, model, training; the latent space."""
    scvi.settings.seed = 0
    cls.setup_anndata(adata, **(setup or {"batch_key": "batch"}))
    own = cls(adata, **{"n_components": 3, **SMALL, **(init or {})})
    own.train(**QUICK | (train or {}))
    return own.get_latent_representation()


def predict(adata, model):
    return model.get_latent_representation(adata)


def tool(adata, model=None, **kwargs):
    options = {"batch_key": "batch", "model_kwargs": SMALL, "train_kwargs": QUICK, "rng": 0}
    tl.rmve(adata, 3, **options | kwargs)
    return adata.obsm["X_rmve"]


def query(adata, model):
    return RMVE.load_query_data(adata, model).get_latent_representation()


def transfer(adata, model):
    tl.transfer(adata, model, key_added="k")
    return adata.obsm["X_k"]


def reordered(adata, model):
    """The genes are, so that the matrix has to be cut."""
    return model.get_latent_representation(ad.AnnData(adata.X, adata.obs, adata.var.iloc[::-1]))


def transfer_from_cells(adata, model=None):
    tl.transfer(adata, cells(), "component", model_kwargs=SMALL, train_kwargs=QUICK)


ALL = (fit, predict, tool)
NEW = (predict, query, transfer)


@dataclass(frozen=True)
class Bad:
    """Cells, what is done with them, and the error it must be."""

    make: Any
    acts: tuple
    error: type[Exception]
    sentence: str


def zeroed(rows=slice(None), columns=slice(None)):
    def change(X):
        X = X.toarray()
        X[rows, columns] = 0
        return sparse.csr_matrix(X)

    return with_matrix(change)


def renamed(names):
    return edited(lambda adata: setattr(adata, "var_names", names))


def dtype(name, layout=sparse.csr_matrix):
    """The counts as another kind of number, without SciPy's opinion about it."""

    def change(X):
        if layout is not sparse.csr_matrix:
            return layout(X.toarray().astype(name))
        converted = X.copy()
        converted.data = X.data.astype(name)
        return converted

    return with_matrix(change)


def damaged(part, position, value):
    """Cells from a file in which one number of the matrix is another."""

    def change(adata):
        numbers = getattr(adata.X, part).copy()
        numbers[position] = value
        setattr(adata.X, part, numbers)

    return edited(change)


MIXED = pd.Series([1, "1", 2.5, "x"] * (N_CELLS // 4), dtype=object).to_numpy()
SELDOM = [None, *["batch_0", "batch_1"] * HALF][:N_CELLS]

BAD = {
    # values
    "NaN": Bad(with_entry(np.nan), (*ALL, query, transfer), ValueError, "found NaN"),
    "infinite": Bad(with_entry(np.inf), ALL, ValueError, "inf (cell 'cell_3', gene 'gene_4')"),
    "negative": Bad(with_entry(-1), ALL, ValueError, "negative value -1 (cell 'cell_3'"),
    "fraction": Bad(with_entry(1.5), (*ALL, query), ValueError, "non-integer value 1.5"),
    "NaN in both": Bad(with_entry(np.nan), (transfer_from_cells,), ValueError, "found NaN"),
    "empty cell": Bad(zeroed(5), (*ALL, query), ValueError, "1 empty cell (first: 'cell_5')"),
    "empty gene": Bad(zeroed(columns=5), (tool,), ValueError, "1 empty gene (first: 'gene_5')"),
    "all zero": Bad(zeroed(), ALL, ValueError, f"{N_CELLS} empty cells"),
    "no matrix": Bad(with_matrix(lambda X: None), ALL, ValueError, "expected a matrix in adata.X"),
    # kinds of numbers
    "objects": Bad(dtype(object, np.asarray), ALL, TypeError, "found dtype object"),
    "text": Bad(dtype(str, np.asarray), ALL, TypeError, "found dtype <U"),
    "complex": Bad(dtype(complex, np.asarray), ALL, TypeError, "found dtype complex128"),
    "masked": Bad(with_matrix(lambda X: np.ma.array(X.toarray())), ALL, TypeError, "X.filled(0)"),
    "sparse float16": Bad(dtype("float16"), ALL, TypeError, "found dtype float16"),
    "sparse big-endian": Bad(dtype(">f4"), ALL, TypeError, "found dtype >f4"),
    # sizes and names
    "no cells": Bad(edited(lambda a: a[:0].copy()), (fit, tool, *NEW), ValueError, "found 0 cells"),
    "no genes": Bad(edited(lambda a: a[:, :0].copy()), (fit, tool), ValueError, "× 0 genes"),
    "gene twice": Bad(renamed(["g"] * N_GENES), (*ALL, query), ValueError, "found 'g' more than"),
    "other genes": Bad(
        renamed([f"ENSG{j}" for j in range(N_GENES)]), (predict,), ValueError, "missing: 'gene_0'"
    ),
    "none of the genes": Bad(
        renamed([f"ENSG{j}" for j in range(N_GENES)]), (query, transfer), ValueError, "found none"
    ),
    "view": Bad(edited(lambda a: a[:9]), (fit, query), ValueError, "found a view of another"),
    # parts of a compressed matrix that do not belong together: beyond the end there is anything
    "ends beyond the values": Bad(damaged("indptr", -1, 10**6), ALL, ValueError, "a whole CSR"),
    "ends that fall": Bad(damaged("indptr", 5, 0), ALL, ValueError, "a whole CSR"),
    "gene beyond the last": Bad(
        damaged("indices", 3, N_GENES),
        (fit, tool, *NEW, reordered, transfer_from_cells),
        ValueError,
        "a whole CSR",
    ),
    "gene before the first": Bad(damaged("indices", 3, -1), ALL, ValueError, "a whole CSR"),
    "a table": Bad(lambda: pd.DataFrame(), ALL, TypeError, "expected an AnnData, found DataFrame"),
    "a path": Bad(lambda: "cells.h5ad", ALL, TypeError, "anndata.read_h5ad(path)"),
    # columns
    "column missing": Bad(
        edited(lambda a: a.obs.pop("batch") is None), (*ALL, query), KeyError, "column 'batch' in"
    ),
    "batch missing": Bad(with_column("batch", SELDOM), (*ALL, query), ValueError, "found 1 of 48"),
    "mixed kinds": Bad(with_column("batch", MIXED), (*ALL, query), TypeError, "float, int, str"),
    "unseen batch": Bad(with_column("batch", "b"), (predict,), ValueError, "load_query_data"),
}  # fmt: skip

CALLS = {
    # what is asked for, of good cells
    "layer": (partial(fit, layer="counts"), KeyError, "the layer 'counts' in adata.layers"),
    "layer of the tool": (partial(tool, layer="counts"), KeyError, "'counts' in adata.layers"),
    "close name": (partial(fit, batch_key="bach"), KeyError, "did you mean 'batch'?"),
    "key in a list": (partial(fit, batch_key=["batch"]), TypeError, "found ['batch']"),
    "key is a number": (partial(fit, batch_key=3), TypeError, "found 3; pass one string"),
    "keys in no list": (
        partial(fit, categorical_covariate_keys="batch"), TypeError, "pass ['batch']"
    ),
    "text covariate": (
        partial(fit, continuous_covariate_keys=["batch"]), TypeError, "expected numbers in"
    ),
    "more components than cells": (
        partial(fit, init={"n_components": 49}), ValueError, "number of cells (48), found 49"
    ),
    "no component": (partial(fit, init={"n_components": 0}), ValueError, "at least 1"),
    "half a component": (partial(fit, init={"n_components": 2.5}), TypeError, "found 2.5"),
    "no number of components": (partial(fit, init={"n_components": True}), TypeError, "found True"),
    "column twice": (
        partial(fit, categorical_covariate_keys=["batch", "batch"]), ValueError, "'batch' twice"
    ),
    "no labels to be unlabeled": (
        partial(fit, unlabeled_category="unknown"), ValueError, "expected labels_key with"
    ),
    "components by word": (partial(fit, init={"n_components": "many"}), TypeError, "or 'auto'"),
    "no latent": (partial(fit, init={"n_latent": 0}), ValueError, "expected `n_latent`"),
    "no width": (partial(fit, init={"n_hidden": 0}), ValueError, "expected `n_hidden`"),
    "negative depth": (partial(fit, init={"n_layers": -1}), ValueError, "expected `n_layers`"),
    "dropout": (partial(fit, init={"dropout_rate": 1.5}), ValueError, "`dropout_rate` < 1"),
    "masking": (partial(fit, init={"input_dropout": -0.1}), ValueError, "0 ≤ `input_dropout`"),
    "strength": (
        partial(fit, init={"repulsion_strength": float("nan")}), ValueError, "`repulsion_strength`"
    ),
    "likelihood": (partial(fit, init={"gene_likelihood": "nbb"}), ValueError, "('nb', 'zinb'"),
    "no epoch": (partial(fit, train={"max_epochs": 0}), ValueError, "expected `max_epochs`"),
    "part of an epoch": (partial(fit, train={"max_epochs": 1.5}), ValueError, "`max_epochs`"),
    "batches of none": (partial(fit, train={"batch_size": 0}), ValueError, "`batch_size`"),
    "huge steps": (
        partial(fit, train={"plan_kwargs": {"lr": 1e9}}), FloatingPointError, "learning rate"
    ),
    "unknown step": (
        partial(fit, train={"plan_kwargs": {"learning_rate": 1}}), TypeError, "'learning_rate'"
    ),
    "no cell to train on": (partial(fit, train={"train_size": 0.0}), ValueError, "< train_size"),
    "share by word": (partial(fit, train={"train_size": "most"}), ValueError, "found 'most'"),
    "share of a phase": (
        partial(fit, train={"pretrain_fraction": -1}), ValueError, "`pretrain_fraction`"
    ),
    "warmup by word": (
        partial(fit, train={"warmup_fraction": "x"}), ValueError, "expected warmup_fraction in"
    ),
    "minutes before now": (
        partial(fit, train={"checkpoint_dir": ".", "checkpoint_minutes": -1}),
        ValueError,
        "`checkpoint_minutes`",
    ),
    "negative seed": (partial(tool, rng=-1), ValueError, "expected rng to be a whole number"),
    "seed by word": (partial(tool, rng="x"), ValueError, "expected rng to be a whole number"),
    "mask itself": (partial(tool, mask_var=np.ones(N_GENES, bool)), TypeError, "found a ndarray"),
    "key that no file has": (partial(tool, key_added="a\0b"), ValueError, "expected key_added"),
    "key of a group": (partial(tool, key_added="."), ValueError, "expected key_added"),
    "mask missing": (partial(tool, mask_var="hvg"), KeyError, "'hvg' in adata.var"),
    "key with a slash": (partial(tool, key_added="a/b"), ValueError, "without '/'"),
    "empty key": (partial(tool, key_added=""), ValueError, "expected key_added"),
    "key of a column": (partial(tool, key_added="batch"), ValueError, "'batch' in adata.obs that"),
    "column of a map": (
        lambda a: tl.transfer(a, cells(), "component", key_added="batch"), ValueError, "'batch' in"
    ),
    "no run": (lambda a: tl.merge_components(a), KeyError, "run mixvi.tl.cgmdvae"),
    "no labels": (lambda a: tl.transfer(a, cells(), "type"), KeyError, "column 'type'"),
    "no reference": (lambda a: tl.transfer(a, 3), ValueError, "expected a CGMDVAE or RMVE"),
    "no directory": (lambda a: tl.transfer(a, "nowhere"), FileNotFoundError, "found no directory"),
    "not set up": (lambda a: CGMDVAE(a), ValueError, "call CGMDVAE.setup_anndata on it"),
}  # fmt: skip

ASKED = {
    "cell beyond the end": (
        {"indices": [N_CELLS]},
        IndexError,
        f"below {N_CELLS}, found {N_CELLS}",
    ),
    "half a cell": ({"indices": [1.5]}, TypeError, "whole numbers or a mask"),
    "name of a cell": ({"indices": ["cell_1"]}, TypeError, "get_indexer"),
    "no cell": ({"indices": []}, ValueError, "at least one cell"),
    "short mask": ({"indices": [True, False]}, IndexError, f"a mask of {N_CELLS} cells, found 2"),
    "batches of none": ({"batch_size": 0}, ValueError, "`batch_size`"),
}
NUMBERS = {
    "no cell": ("sample", {"n_obs": 0}, "`n_obs`"),
    "half a cell": ("sample", {"n_obs": 1.5}, "`n_obs`"),
    "negative depth": ("sample", {"library_size": -1}, "library_size"),
    "depth that is none": ("get_component_profiles", {"library_size": float("nan")}, "library_"),
    "no condition": ("get_component_profiles", {"conditions": []}, "at least one condition"),
    "negative shares": ("get_normalized_expression", {"library_size": -1}, "library_size"),
    "depth by word": ("get_normalized_expression", {"library_size": "deep"}, "library_size"),
    "no draw": ("get_normalized_expression", {"n_samples": 0}, "`n_samples`"),
    "no draw of all": ("get_normalized_expression", {"n_samples_overall": 0}, "`n_samples_over"),
    "no draw to correlate": ("get_feature_correlation_matrix", {"n_samples": 0}, "`n_samples`"),
    "no predictive draw": ("posterior_predictive_sample", {"n_samples": 0}, "`n_samples`"),
    "no draw of z": ("get_marginal_ll", {"n_mc_samples": 0}, "`n_mc_samples`"),
    "never done": ("get_marginal_ll", {"n_mc_samples_per_pass": 0}, "`n_mc_samples_per_pass`"),
    "rate by word": ("is_novel", {"false_alarm_rate": "low"}, "false_alarm_rate"),
    "half a cluster": ("merge_components", {"n_clusters": 1.5}, "n_clusters to be a whole number"),
    "nothing to compare": ("differential_expression", {}, "groups to compare"),
    "no such group": (
        "differential_expression", {"groupby": "batch", "group1": "b"}, "found 'b'; choose"
    ),
    "no such group to compare with": (
        "differential_expression", {"groupby": "batch", "group1": "batch_0", "group2": "b"},
        "found 'b'; choose",
    ),
    "cells in both groups": (
        "differential_expression", {"idx1": [0, 1], "idx2": [1, 2]}, "1 in both (first: 'cell_1')"
    ),
    "empty group": ("differential_expression", {"idx1": []}, "at least one cell"),
}  # fmt: skip
UNKNOWN = {
    "column of groups": ("differential_expression", {"groupby": "type"}, "column 'type' in"),
    "genes": ("get_normalized_expression", {"gene_list": ["gene_0", "CD3D"]}, "found 'CD3D'"),
}


def refused(call, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)) as caught:
        call()
    message = str(caught.value.args[0])
    assert message.startswith("expected ")
    assert "; " in message  # what to do
    assert "\n" not in message


@pytest.mark.parametrize(
    ("case", "act"),
    [
        pytest.param(case, act, id=f"{name}-{act.__name__}")
        for name, case in BAD.items()
        for act in case.acts
    ],
)
def test_bad_cells(case, act, model):
    adata = case.make()
    before = contents(adata)
    refused(lambda: act(adata, model), case.error, case.sentence)
    assert contents(adata) == before


@pytest.mark.parametrize("name", CALLS)
def test_bad_call(name):
    call, error, sentence = CALLS[name]
    adata = cells()
    before = contents(adata)
    refused(lambda: call(adata), error, sentence)
    assert contents(adata) == before


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_name(name, model):
    accessor, kwargs, sentence = UNKNOWN[name]
    refused(lambda: getattr(model, accessor)(**kwargs), KeyError, sentence)


@pytest.mark.parametrize("name", NUMBERS)
def test_bad_number(name, model):
    accessor, kwargs, sentence = NUMBERS[name]
    refused(lambda: getattr(model, accessor)(**kwargs), ValueError, sentence)


@pytest.mark.parametrize(("unlabeled", "said"), [("unknwon", 1), ("Unknown", 1), ("none", 0)])
def test_name_of_no_label_that_is_misspelled(unlabeled, said, caplog):
    """Fully labeled cells may have one; but cells called ``unknown`` would be a type."""
    adata = with_column("type", ["B", "unknown"] * HALF)()
    RMVE.setup_anndata(adata, labels_key="type", unlabeled_category=unlabeled)
    assert caplog.text.count("did you mean that?") == said


@pytest.mark.parametrize("threshold", [-1, float("nan"), "low"])
def test_cost_of_a_merge(threshold, model):
    refused(lambda: model.merge_components(threshold=threshold), ValueError, "`threshold`")


def test_results_replace_only_results(model):
    """What a user has in the cells stays, whatever the name of the result."""
    adata = cells()
    adata.obsm["X_umap"] = np.ones((N_CELLS, 2))
    before = contents(adata)
    refused(lambda: model.annotate(adata, key_added="umap"), ValueError, "'X_umap' in adata.obsm")
    refused(lambda: model.annotate(adata, key_added="batch"), ValueError, "'batch' in adata.obs")
    assert contents(adata) == before
    model.annotate(adata, key_added="mix")
    model.annotate(adata, key_added="mix")
    tl.merge_components(adata, 2, key="mix", key_added="two")
    refused(
        lambda: tl.merge_components(adata, 2, key="mix", key_added="batch"),
        ValueError,
        "'batch' in adata.obs",
    )
    del adata.uns["mix"]
    refused(lambda: model.annotate(adata, key_added="mix"), ValueError, "adata.uns['mix'] is lost")


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("accessor", ["predict_proba", "get_latent_representation", "get_elbo"])
def test_bad_question(name, accessor, model):
    kwargs, error, sentence = ASKED[name]
    refused(lambda: getattr(model, accessor)(**kwargs), error, sentence)


@pytest.mark.parametrize("label", ["", ".", "a\0b", "\ud800"], ids=repr)
def test_label_that_no_file_can_hold(label):
    adata = with_column("type", [label, "B"] * HALF)()
    refused(
        lambda: fit(adata, labels_key="type", init={"n_components": "auto"}),
        ValueError,
        "labels that a file can hold",
    )


@pytest.mark.parametrize(
    "values", [["True", "False"] * 10, [1.0, np.nan] * 10], ids=["text", "NaN"]
)
def test_mask_of_another_kind(values):
    """``bool("False")`` and ``bool(nan)`` are true: nothing of this kind is guessed."""
    adata = cells()
    adata.var["highly_variable"] = values
    refused(lambda: tool(adata), TypeError, "expected True and False in adata.var")


def test_normalized_in_place_after_training():
    """scanpy works in place: a model that was set up on ``X`` would read something else."""
    adata = cells()
    RMVE.setup_anndata(adata)
    own = RMVE(adata, n_components=3, **SMALL)
    own.train(**QUICK)
    adata.X = adata.X / 3
    for call in (own.predict, lambda: own.predict(adata), lambda: own.train(**QUICK)):
        refused(call, ValueError, "expected raw counts in X")


# right results ---------------------------------------------------------------------------------


def batches(categories=None):
    return pd.Categorical(cells().obs["batch"].astype(str), categories)


SAME = {
    "dense": with_matrix(lambda X: X.toarray()),
    "matrix": with_matrix(lambda X: np.asmatrix(X.toarray())),
    "Fortran order": with_matrix(lambda X: np.asfortranarray(X.toarray())),
    "CSC": with_matrix(lambda X: X.tocsc()),
    "CSR array": with_matrix(sparse.csr_array),
    "CSC array": with_matrix(sparse.csc_array),
    "int64": dtype("int64"),
    "uint16": dtype("uint16"),
    "float64": dtype("float64"),
    "float16": dtype("float16", np.asarray),
    "big-endian": dtype(">f4", np.asarray),
    "big-endian integers": dtype(">i8", np.asarray),
    "in parts": with_matrix(in_parts),
    "unsorted": with_matrix(unsorted),
    "stored zeros": with_matrix(with_stored_zeros),
    "names of cells twice": edited(lambda a: setattr(a, "obs_names", ["cell"] * N_CELLS)),
    "unused categories": with_column(
        "batch", batches(["batch_0", "batch_1", *(f"unused {i}" for i in range(9_998))])
    ),
    "texts for categories": with_column("batch", np.asarray(batches(), dtype=object)),
}  # fmt: skip


@pytest.mark.parametrize("act", ALL)
@pytest.mark.parametrize("name", SAME)
def test_form_of_the_matrix(name, act, model):
    if name == "unused categories" and act is fit:
        pytest.skip("registered categories are the model's: it has more weights")
    adata = SAME[name]()
    before = contents(adata)
    z = act(adata, model)
    adata = edited(lambda a: adata)()
    for key in ("X_rmve", "rmve_probs"):
        adata.obsm.pop(key, None)
    for key in [name for name in adata.obs if name.startswith("rmve")]:
        del adata.obs[key]
    adata.uns.pop("rmve", None)
    assert contents(adata) == before
    np.testing.assert_allclose(z, act(cells(), model), atol=1e-4)


@pytest.mark.parametrize("layout", [sparse.csr_matrix, sparse.csc_matrix, lambda X: X.toarray()])
def test_read_only_file(layout, model, tmp_path):
    path = tmp_path / "cells.h5ad"
    with_matrix(layout)().write_h5ad(path)
    path.chmod(0o444)
    before = files(tmp_path)
    rows = [17, 3, 3, 40]  # HDF5 would give them sorted, and once
    expected = model.get_latent_representation()
    backed = ad.read_h5ad(path, backed="r")
    np.testing.assert_allclose(predict(backed, model), expected, atol=1e-5)
    np.testing.assert_allclose(
        model.get_latent_representation(backed, indices=rows), expected[rows], atol=1e-5
    )
    np.testing.assert_allclose(fit(ad.read_h5ad(path, backed="r")), fit(cells()), atol=1e-4)
    copy = tl.rmve(ad.read_h5ad(path, backed="r"), 3, copy=True, train_kwargs=QUICK)
    assert not copy.isbacked
    assert copy.obsm["X_rmve"].shape == (N_CELLS, 10)
    assert files(tmp_path) == before


def test_views(model):
    """A view is copied where it is only read, and never turned into something else."""
    adata = cells()
    view = adata[::-1]
    np.testing.assert_allclose(predict(view, model), predict(adata, model)[::-1], atol=1e-5)
    expected = tool(cells()[::-1].copy())
    np.testing.assert_allclose(tool(cells()[::-1]), expected, atol=1e-5)


def test_parts_never_reach_the_sparse_loader(model):
    """log1p of the parts is not log1p of the sum."""
    adata = with_matrix(in_parts)()
    model._validate_anndata(adata)
    loader = model._make_data_loader(adata, load_sparse_tensor=True)
    assert not is_sparse(next(iter(loader))["X"])
    adata.X.sum_duplicates()
    loader = model._make_data_loader(adata, load_sparse_tensor=True)
    assert is_sparse(next(iter(loader))["X"])
    np.testing.assert_allclose(
        model.get_latent_representation(dataloader=loader),
        model.get_latent_representation(),
        atol=1e-4,
    )


TINY = {
    "one cell": (lambda a: a[:1].copy(), {"n_components": 1}, {}),
    "two cells": (lambda a: a[:2].copy(), {"n_components": 2}, {}),
    "five cells": (lambda a: a[:5].copy(), {}, {}),
    "one gene": (lambda a: a[:, :1].copy(), {}, {}),
    "one batch": (with_column("batch", "only"), {}, {}),
    "every cell its batch": (with_column("batch", [f"b{i}" for i in range(N_CELLS)]), {}, {}),
    "as many components as cells": (lambda a: a[:12].copy(), {"n_components": 12}, {}),
    "more components than cells to train on": (lambda a: a, {"n_components": N_CELLS}, {}),
    "the same, in every phase": (
        lambda a: a,
        {"n_components": N_CELLS - 2},
        {"max_epochs": 6},
    ),
    "all cells alike": (lambda a: a[[0] * 30].copy(), {"n_components": 4}, {"max_epochs": 6}),
    "a cell left over": (lambda a: a[:33].copy(), {}, {"train_size": 1.0}),
    "batches of one": (lambda a: a[:12].copy(), {}, {"batch_size": 1}),
    "one huge count": (with_entry(1e7), {}, {}),
}


@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
@pytest.mark.parametrize("name", TINY)
def test_smallest_data(name, cls):
    change, init, train = TINY[name]
    adata = change() if name in ("one batch", "every cell its batch", "one huge count") else None
    adata = change(cells()) if adata is None else adata
    z = fit(adata, cls=cls, init=init, train=train)
    assert z.shape == (adata.n_obs, 3)
    assert np.isfinite(z).all()
    assert (z.std(0) > 0).any() or name in ("one cell", "all cells alike")


@pytest.mark.parametrize("n_labels", [30, N_CELLS])
def test_nearly_a_label_for_every_cell(n_labels):
    """As many components as there are cells for, however many ``"auto"`` would like."""
    adata = with_column("type", [f"type {i % n_labels}" for i in range(N_CELLS)])()
    z = fit(adata, labels_key="type", init={"n_components": "auto"}, train={"max_epochs": 6})
    assert np.isfinite(z).all()


def test_ten_thousand_categories():
    """Every one of them used, in one epoch."""
    X = np.random.default_rng(0).poisson(2.0, (10_000, 5)).astype("float32") + 1
    adata = ad.AnnData(X, obs=pd.DataFrame({"batch": [f"b{i}" for i in range(10_000)]}).set_index(
        np.char.add("c", np.arange(10_000).astype(str))
    ))  # fmt: skip
    z = fit(adata, batch_key="batch", train={"max_epochs": 1, "batch_size": 2_000})
    assert z.shape == (10_000, 3)
    assert np.isfinite(z).all()


ODD = {
    "scripts": ["日本 語", "<script>alert(1)</script>", "é\u202e"],
    "not alike": ["e\u0301", "é", "B "],  # two ways to write one letter
    "lines": ["a\nb", "B\t", "..", "%s{}"],
    "slashes": ["CD4/CD8", "NK\\T", "B"],
    "numbers": [1, 2, 10],
    "truth": [True, False],
    "long": ["x" * 5_000, "B"],
    "words for nothing": ["nan", "None", "NA"],
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("ignore:.*in keys.*is discouraged")
def test_odd_labels(name, tmp_path):
    """Names survive training, annotation, both files and the way back."""
    scvi.settings.seed = 0
    adata = with_column("type", np.resize(np.asarray(ODD[name]), N_CELLS))()
    RMVE.setup_anndata(adata, labels_key="type")
    own = RMVE(adata, **SMALL)
    own.train(**QUICK)
    own.annotate(key_added="k")
    labels = sorted(map(str, ODD[name]))
    assert sorted(own.cluster_names_[: len(labels)]) == labels
    own.save(tmp_path / "model")
    np.testing.assert_array_equal(RMVE.load(tmp_path / "model", adata).predict(), own.predict())
    adata.write_h5ad(tmp_path / "cells.h5ad")
    back = ad.read_h5ad(tmp_path / "cells.h5ad")
    assert list(back.obs["k"]) == list(own.predict())
    assert list(back.obsm["k_probs"].columns) == [n.replace("/", "|") for n in own.cluster_names_]
    # the plots find every cluster's own column again
    assert set(back.obs["k"].cat.categories) <= set(probabilities(back, "k").columns)


# files -----------------------------------------------------------------------------------------


def test_existing_directory_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(RMVE, "train", lambda *args, **kwargs: pytest.fail("trained first"))
    (tmp_path / "kept").write_text("old")
    before = files(tmp_path)
    adata = cells()
    refused(lambda: tool(adata, save=tmp_path), ValueError, "expected a new directory")
    with pytest.raises(OSError, match="kept"):
        tool(adata, save=tmp_path / "kept" / "model")
    assert files(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_directory_without_permission(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(PermissionError):
        tool(cells(), save=tmp_path / "model")
