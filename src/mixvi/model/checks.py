"""Checks of what users hand in, shared by models, tools and the command line.

Every check raises a builtin exception whose message is one sentence: what was expected, what was
found (naming the key, gene or cell), and what to do about it.
"""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.abc import CSCDataset, CSRDataset
from scipy import sparse

__all__ = ["check_columns", "check_matrix", "check_n_components", "get_matrix", "listing"]

_TOLERANCE = 1e-6  # counts that went through floating point are still counts
_CHUNK = 2**22  # matrix entries looked at together: tens of MB of temporary arrays at most
_NAMES_SHOWN = 10


def listing(names: Iterable[Any]) -> str:
    """Quote the first names, for a message: ``'a', 'b', … (12 in all)``."""
    names = [repr(str(name)) for name in names]
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown}, … ({len(names)} in all)" if len(names) > _NAMES_SHOWN else shown or "none"


def check_columns(
    adata: AnnData,
    keys: Iterable[str],
    *,
    numeric: Iterable[str] = (),
    positive: Iterable[str] = (),
) -> None:
    """Check that columns of ``adata.obs`` are there and hold a value for every cell.

    Parameters
    ----------
    adata
        Annotated data.
    keys
        Columns that may hold anything: batches, conditions, labels.
    numeric
        Columns that must hold finite numbers: continuous covariates.
    positive
        Columns that must hold finite numbers above zero: size factors.

    Raises
    ------
    KeyError
        If a column is missing; close names are suggested.
    ValueError
        If a column has missing, infinite or (``positive``) non-positive values.
    TypeError
        If a column of ``numeric`` or ``positive`` does not hold numbers.
    """
    numeric, positive = list(numeric), list(positive)
    for key in [*keys, *numeric, *positive]:
        if key not in adata.obs:
            close = get_close_matches(key, [str(name) for name in adata.obs.columns], n=3)
            advice = f"did you mean {listing(close)}?" if close else "pass one of these columns"
            raise KeyError(
                f"expected the column {key!r} in adata.obs, found {listing(adata.obs.columns)}; "
                f"{advice}"
            )
        if n_missing := int(adata.obs[key].isna().sum()):
            raise ValueError(
                f"expected a value for every cell in adata.obs[{key!r}], found {n_missing} of "
                f"{adata.n_obs} cells without one (NaN); fill them (for example with 'unknown') "
                "or drop these cells"
            )
    for key in [*numeric, *positive]:
        column = adata.obs[key]
        if not pd.api.types.is_numeric_dtype(column):
            raise TypeError(
                f"expected numbers in adata.obs[{key!r}], found dtype {column.dtype}; convert the "
                "column, or pass it as a categorical covariate"
            )
        values = column.to_numpy(dtype=float)
        wrong = ~np.isfinite(values)
        if key in positive:
            wrong |= values <= 0
        if wrong.any():
            cell = int(wrong.argmax())
            wanted = "numbers above zero" if key in positive else "finite numbers"
            raise ValueError(
                f"expected {wanted} in adata.obs[{key!r}], found {values[cell]:g} "
                f"(cell {str(adata.obs_names[cell])!r}); correct the value or drop the cell"
            )


def check_n_components(n_components: int, n_obs: int) -> None:
    """Check that a mixture has at least one component and at most one per cell.

    Parameters
    ----------
    n_components
        Number of mixture components, K.
    n_obs
        Number of cells.

    Raises
    ------
    ValueError
        If K < 1 or K > ``n_obs``.
    """
    if not 1 <= n_components <= n_obs:
        raise ValueError(
            f"expected n_components between 1 and the number of cells ({n_obs}), found "
            f"{n_components}; pass a number in this range"
        )


def get_matrix(adata: AnnData, layer: str | None = None) -> Any:
    """Give ``adata.X`` or a layer, in whatever form it is stored.

    Parameters
    ----------
    adata
        Annotated data.
    layer
        Name of the layer; ``None`` is ``X``.

    Raises
    ------
    KeyError
        If there is no such layer; the message lists the layers.
    ValueError
        If ``layer`` is ``None`` and ``adata`` has no ``X``.
    """
    # Since anndata 0.13 the layer None is X.
    names = [name for name in adata.layers if name is not None]
    if layer is None:
        if adata.X is None:
            raise ValueError(
                "expected a matrix in adata.X, found none; pass the layer that holds the data "
                f"(layers: {listing(names)})"
            )
        return adata.X
    if layer not in names:
        raise KeyError(
            f"expected the layer {layer!r} in adata.layers, found {listing(names)}; pass one of "
            "these, or none to use adata.X"
        )
    return adata.layers[layer]


def check_matrix(
    X: Any,
    *,
    counts: bool,
    obs_names: Any,
    var_names: Any,
    what: str = "X",
    empty_genes: bool = False,
) -> None:
    """Check a cells × genes matrix in one pass, in chunks, so that memory stays flat.

    Parameters
    ----------
    X
        Dense array, CSR or CSC matrix, or the same on disk (HDF5 data set, backed AnnData).
    counts
        Whether raw counts are expected: no negative values, integers up to 1e-6, no empty cells.
        Otherwise only finite numbers are.
    obs_names, var_names
        Names of cells and genes, for the messages; ``var_names`` must be unique.
    what
        Where the matrix comes from: ``"X"`` or the name of the layer.
    empty_genes
        Whether genes without a single count are an error too (with ``counts`` only).

    Raises
    ------
    TypeError
        If the matrix does not hold real numbers.
    ValueError
        If there are no cells or no genes, names of genes repeat, or an entry is not what is
        expected; the message names the first offending cell and gene.
    """
    place = "X" if what == "X" else f"layer {what!r}"
    obs_names, var_names = pd.Index(obs_names), pd.Index(var_names)
    if 0 in X.shape:
        raise ValueError(
            f"expected at least one cell and one gene in {place}, found {X.shape[0]} cells × "
            f"{X.shape[1]} genes; check the filters applied before"
        )
    if not var_names.is_unique:
        repeated = var_names[var_names.duplicated()].unique()
        raise ValueError(
            f"expected unique gene names, found {listing(repeated)} more than once; call "
            "adata.var_names_make_unique() first"
        )
    if np.dtype(X.dtype).kind not in "biuf":
        raise TypeError(
            f"expected numbers in {place}, found dtype {X.dtype}; convert the matrix to float32"
        )
    per_cell, per_gene = np.zeros(X.shape[0]), np.zeros(X.shape[1])
    for first_cell, first_gene, chunk in _chunks(X):
        bad = _first_bad(chunk, counts)
        if bad is not None:
            value, cell, gene = bad
            cell_name, gene_name = obs_names[first_cell + cell], var_names[first_gene + gene]
            where = f"(cell {str(cell_name)!r}, gene {str(gene_name)!r})"
            raise ValueError(_complaint(value, where, place, counts))
        if counts:
            n_rows, n_columns = chunk.shape
            per_cell[first_cell : first_cell + n_rows] += _total(chunk, 1)
            per_gene[first_gene : first_gene + n_columns] += _total(chunk, 0)
    if counts:
        _check_not_empty(per_cell, obs_names, "cell", place)
        if empty_genes:
            _check_not_empty(per_gene, var_names, "gene", place)


def _chunks(X: Any) -> Iterator[tuple[int, int, Any]]:
    """Cut along the axis that the storage reads fast: (first row, first column, chunk)."""
    if sparse.issparse(X) and X.format in ("csr", "csc"):
        # Whole: _first_bad walks over .data without copying the matrix.
        yield 0, 0, X
        return
    if sparse.issparse(X):
        yield 0, 0, X.tocsr()
        return
    by_column = isinstance(X, CSCDataset)
    on_disk_sparse = by_column or isinstance(X, CSRDataset)
    n_major, n_minor = X.shape[::-1] if by_column else X.shape
    # Stored entries are a small part of a sparse chunk, and each read costs a seek.
    step = max(1, (4 * _CHUNK if on_disk_sparse else _CHUNK) // n_minor)
    for start in range(0, n_major, step):
        if by_column:
            yield 0, start, X[:, start : start + step]
        else:
            chunk = X[start : start + step]
            yield start, 0, chunk if sparse.issparse(chunk) else np.asarray(chunk)


def _total(chunk: Any, axis: int) -> np.ndarray:
    return np.asarray(chunk.sum(axis=axis, dtype=np.float64)).ravel()


def _first_bad(chunk: Any, counts: bool) -> tuple[float, int, int] | None:
    """First offending entry of a chunk as (value, row, column), or None."""
    values = chunk.data if sparse.issparse(chunk) else chunk.reshape(-1)
    position = _first_bad_position(values, counts)
    if position is None:
        return None
    if not sparse.issparse(chunk):
        row, column = divmod(position, chunk.shape[1])
        return float(chunk[row, column]), row, column
    major = int(np.searchsorted(chunk.indptr, position, side="right")) - 1
    minor = int(chunk.indices[position])
    row, column = (major, minor) if chunk.format == "csr" else (minor, major)
    return float(values[position]), row, column


def _first_bad_position(values: np.ndarray, counts: bool) -> int | None:
    kind = values.dtype.kind
    if kind in "bu" or (kind == "i" and not counts):
        return None
    for start in range(0, values.size, _CHUNK):
        part = values[start : start + _CHUNK]
        if not counts:
            good = np.isfinite(part)
        elif kind == "i":
            good = part >= 0
        else:
            with np.errstate(invalid="ignore"):  # inf − inf is NaN, and NaN compares as False
                good = (np.abs(part - np.rint(part)) <= _TOLERANCE) & (part >= 0)
        if not good.all():
            return start + int(np.argmin(good))
    return None


def _complaint(value: float, where: str, place: str, counts: bool) -> str:
    if not np.isfinite(value):
        wanted = "raw counts" if counts else "finite numbers"
        return (
            f"expected {wanted} in {place}, found {'NaN' if np.isnan(value) else f'{value:g}'} "
            f"{where}; replace or drop missing and infinite values first"
        )
    problem = "negative" if value < 0 else "non-integer"
    return (
        f"expected raw counts in {place}, found the {problem} value {value:.6g} {where}; pass the "
        "layer that holds counts or gene_likelihood='normal'"
    )


def _check_not_empty(totals: np.ndarray, names: pd.Index, noun: str, place: str) -> None:
    empty = np.flatnonzero(totals == 0)
    if empty.size:
        raise ValueError(
            f"expected at least one count in every {noun} of {place}, found {empty.size} empty "
            f"{noun}{'s' if empty.size > 1 else ''} (first: {str(names[empty[0]])!r}); drop empty "
            f"{noun}s, for example with scanpy.pp.filter_{noun}s(adata, min_counts=1)"
        )
