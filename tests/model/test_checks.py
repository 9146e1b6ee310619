"""Input checks: what passes, what is refused, and that the sentence names the culprit."""

from uuid import uuid4

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from mixvi.model.checks import check_columns, check_matrix, check_n_components, get_matrix

N_CELLS, N_GENES = 7, 5
CELLS = [f"cell{i}" for i in range(N_CELLS)]
GENES = [f"gene{j}" for j in range(N_GENES)]


@pytest.fixture
def counts() -> np.ndarray:
    matrix = np.random.default_rng(0).poisson(1.0, (N_CELLS, N_GENES)).astype("float32")
    matrix[:, 0] += 1
    matrix[0] += 1
    return matrix


def _on_disk(tmp_path, matrix):
    path = tmp_path / f"{uuid4()}.h5ad"
    ad.AnnData(matrix).write_h5ad(path)
    return ad.read_h5ad(path, backed="r").X


def _dataset(tmp_path, matrix):
    return h5py.File(tmp_path / f"{uuid4()}.h5", "w").create_dataset("X", data=matrix)


FORMS = {
    "dense": lambda tmp_path, matrix: matrix,
    "fortran": lambda tmp_path, matrix: np.asfortranarray(matrix),
    "csr": lambda tmp_path, matrix: sparse.csr_matrix(matrix),
    "csc": lambda tmp_path, matrix: sparse.csc_matrix(matrix),
    "csr_array": lambda tmp_path, matrix: sparse.csr_array(matrix),
    "coo": lambda tmp_path, matrix: sparse.coo_matrix(matrix),
    "h5py": _dataset,
    "backed csr": lambda tmp_path, matrix: _on_disk(tmp_path, sparse.csr_matrix(matrix)),
    "backed csc": lambda tmp_path, matrix: _on_disk(tmp_path, sparse.csc_matrix(matrix)),
}


def check(matrix, counts=True, **kwargs):
    names = {"obs_names": CELLS, "var_names": GENES} | kwargs
    check_matrix(matrix, counts=counts, **names)


@pytest.fixture(params=[2**22, 6], ids=["one chunk", "many chunks"])
def chunked(request, monkeypatch):
    monkeypatch.setattr("mixvi.model.checks._CHUNK", request.param)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [1.37, -2.0, np.nan, np.inf, -np.inf])
@pytest.mark.usefixtures("chunked")
def test_every_storage_names_the_same_culprit(form, value, counts, tmp_path):
    make = FORMS[form]
    check(make(tmp_path, counts), empty_genes=True)
    counts[4, 3] = value
    with pytest.raises(ValueError, match=r"\(cell 'cell4', gene 'gene3'\)") as caught:
        check(make(tmp_path, counts))
    kind = {1.37: "non-integer value 1.37", -2.0: "negative value -2"}.get(value)
    assert (kind or str(value).replace("nan", "NaN")) in str(caught.value)
    if np.isfinite(value):
        check(make(tmp_path, counts), counts=False)
    else:
        with pytest.raises(ValueError, match="expected finite numbers"):
            check(make(tmp_path, counts), counts=False)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.usefixtures("chunked")
def test_empty_cells_and_genes(form, counts, tmp_path):
    make = FORMS[form]
    counts[:, 2] = 0
    check(make(tmp_path, counts))
    with pytest.raises(ValueError, match=r"every gene .* 1 empty gene \(first: 'gene2'\)"):
        check(make(tmp_path, counts), empty_genes=True)
    counts[[3, 5]] = 0
    with pytest.raises(ValueError, match=r"every cell .* 2 empty cells \(first: 'cell3'\)"):
        check(make(tmp_path, counts))
    check(make(tmp_path, counts), counts=False, empty_genes=True)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("form", ["dense", "csr", "csc"])
def test_every_number_type_passes(dtype, form, counts, tmp_path):
    check(FORMS[form](tmp_path, counts.astype(dtype)), empty_genes=True)


def test_sums_do_not_overflow():
    matrix = np.full((N_CELLS, N_GENES), 64, dtype="uint8")[:, :4]  # 4 · 64 = 256 = 0 in uint8
    check(matrix, var_names=GENES[:4])
    check(sparse.csr_matrix(matrix), var_names=GENES[:4])


def test_negative_integers_are_refused(counts):
    matrix = counts.astype("int16")
    matrix[1, 1] = -3
    with pytest.raises(ValueError, match=r"negative value -3 \(cell 'cell1', gene 'gene1'\)"):
        check(matrix)


def test_explicit_zeros_do_not_fill_a_cell(counts):
    matrix = sparse.csr_matrix(counts)
    matrix.data[matrix.indptr[2] : matrix.indptr[3]] = 0
    with pytest.raises(ValueError, match="1 empty cell "):
        check(matrix)


def test_tolerance(counts):
    check(counts.astype("float64") + 1e-7)
    with pytest.raises(ValueError, match="non-integer"):
        check(counts.astype("float64") + 1e-5)


def test_message_names_the_layer(counts):
    counts[0, 0] = 1.37
    expected = (
        "expected raw counts in layer 'counts', found the non-integer value 1.37 "
        "(cell 'cell0', gene 'gene0'); pass the layer that holds counts or "
        "gene_likelihood='normal'"
    )
    with pytest.raises(ValueError, match="layer 'counts'") as caught:
        check(counts, what="counts")
    assert str(caught.value) == expected


def test_shape_names_and_type(counts):
    with pytest.raises(ValueError, match="found 0 cells × 5 genes"):
        check(counts[:0], obs_names=[])
    with pytest.raises(ValueError, match="found 'gene0' more than once"):
        check(counts, var_names=["gene0", "gene0", "a", "b", "c"])
    with pytest.raises(TypeError, match="found dtype object"):
        check(counts.astype(object))


@pytest.fixture
def adata(counts):
    obs = pd.DataFrame(
        {
            "batch": pd.Categorical(["a", "b", None, "a", "b", "a", "b"]),
            "donor": list("xyxyxyx"),
            "age": [1.0, 2, 3, 4, 5, 6, 7],
            "size": [1.0, 2, 0, 4, 5, 6, 7],
            "depth": [1.0, np.inf, 3, 4, 5, 6, 7],
        },
        index=CELLS,
    )
    return ad.AnnData(counts, obs=obs, layers={"raw": counts})


@pytest.mark.parametrize(
    ("kwargs", "error", "sentence"),
    [
        ({"keys": ["donr"]}, KeyError, "'donr' .*found 'batch', 'donor'.*did you mean 'donor'"),
        ({"keys": ["zzz"]}, KeyError, "'zzz' .*pass one of these columns"),
        ({"keys": ["batch"]}, ValueError, "'batch'.*found 1 of 7 cells"),
        ({"keys": [], "numeric": ["donor"]}, TypeError, "expected numbers in .*'donor'"),
        ({"keys": [], "numeric": ["depth"]}, ValueError, "'depth'.*found inf .*'cell1'"),
        ({"keys": [], "positive": ["size"]}, ValueError, "above zero.*'size'.*found 0 .*'cell2'"),
    ],
)
def test_columns_refused(adata, kwargs, error, sentence):
    with pytest.raises(error, match=sentence):
        check_columns(adata, **kwargs)


def test_columns_of_scvi_tools_are_not_offered(adata):
    adata.obs["_scvi_batch"] = 0
    with pytest.raises(KeyError, match=r"pass one of these columns") as refused:
        check_columns(adata, ["_scvi_bach"])
    assert "'_scvi_batch'" not in str(refused.value)


def test_columns_accepted(adata):
    check_columns(adata, ["donor", "age"], numeric=["age", "size"], positive=["age"])


def test_layers(adata):
    assert get_matrix(adata) is adata.X
    assert get_matrix(adata, "raw").shape == adata.shape
    with pytest.raises(KeyError, match=r"'count' in adata.layers, found 'raw'; "):
        get_matrix(adata, "count")
    del adata.X
    with pytest.raises(ValueError, match=r"found none; .*'raw'"):
        get_matrix(adata)


def test_components():
    check_n_components(7, 7)
    for k in (0, 8):
        with pytest.raises(ValueError, match=rf"number of cells \(7\), found {k}"):
            check_n_components(k, 7)
