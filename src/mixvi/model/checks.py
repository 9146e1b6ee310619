"""Checks of what users hand in, shared by models, tools and the command line.

Every check raises a builtin exception whose message is one sentence: what was expected, what was
found (naming the key, gene or cell), and what to do about it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.abc import CSCDataset
from scipy import sparse

from .cells import check_n_components, check_shape, check_unique
from .columns import check_columns, listing

__all__ = [
    "check_columns",
    "check_matrix",
    "check_n_components",
    "check_numbers",
    "check_whole",
    "get_matrix",
    "listing",
]

_TOLERANCE = 1e-6  # counts that went through floating point are still counts
_CHUNK = 2**22  # matrix entries looked at together: tens of MB of temporary arrays at most


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
        If there are no cells or no genes, names of genes repeat, a compressed matrix contradicts
        itself, or an entry is not what is expected; the message names the first offending cell
        and gene.
    """
    place = _place(what)
    obs_names, var_names = pd.Index(obs_names), pd.Index(var_names)
    check_shape(X.shape, place)
    check_unique(var_names)
    check_numbers(X, what)
    per_cell, per_gene = np.zeros(X.shape[0]), np.zeros(X.shape[1])
    for first_cell, first_gene, chunk in _chunks(X, place):
        if chunk is not X:  # from the disk
            _check_parts(chunk, place)
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


def check_numbers(X: Any, what: str = "X") -> None:
    """Check that a matrix is whole and of real numbers that can be computed with.

    The numbers themselves are not looked at.

    Parameters
    ----------
    X
        As for :func:`check_matrix`.
    what
        Where the matrix comes from: ``"X"`` or the name of the layer.

    Raises
    ------
    TypeError
        If it is of something else.
    ValueError
        If its compressed parts do not belong together.
    """
    dtype = np.dtype(X.dtype)
    if dtype.kind not in "biuf":
        raise TypeError(
            f"expected numbers in {_place(what)}, found dtype {dtype}; convert the matrix to "
            "float32"
        )
    if np.ma.isMaskedArray(X):
        raise TypeError(
            f"expected an array or a sparse matrix in {_place(what)}, found a masked array; fill "
            "it: X.filled(0)"
        )
    if sparse.issparse(X) and (dtype.name == "float16" or not dtype.isnative):
        raise TypeError(
            f"expected a sparse matrix of native numbers in {_place(what)}, found dtype {dtype}, "
            "with which SciPy cannot compute; convert the matrix to float32"
        )
    _check_parts(X, _place(what))


def check_whole(adata: AnnData) -> None:
    """Check the compressed matrices of an AnnData before they are cut.

    Of parts that do not belong together SciPy reads and writes beyond the ends.

    Raises
    ------
    ValueError
        If there is such a one.
    """
    _check_parts(adata.X, "X")
    for name in adata.layers:
        if name is not None:
            _check_parts(adata.layers[name], _place(name))


def _check_parts(X: Any, place: str) -> None:
    if not sparse.issparse(X) or X.format not in ("csr", "csc"):
        return
    n_major, n_minor = X.shape if X.format == "csr" else X.shape[::-1]
    ends, positions = X.indptr, X.indices
    n_stored = min(len(positions), len(X.data))
    whole = len(ends) == n_major + 1 and ends[0] == 0 and ends[-1] <= n_stored
    whole = whole and bool((ends[1:] >= ends[:-1]).all())
    if whole and len(positions):
        whole = positions.min() >= 0 and positions.max() < n_minor
    if not whole:
        raise ValueError(
            f"expected a whole {X.format.upper()} matrix in {place}, found indices that do not "
            "belong to its values or shape; the data are damaged: make or read the matrix again"
        )


def _place(what: str) -> str:
    return "X" if what == "X" else f"layer {what!r}"


def _chunks(X: Any, place: str) -> Iterator[tuple[int, int, Any]]:
    """Cut along the axis that the storage reads fast: (first row, first column, chunk)."""
    if sparse.issparse(X) and X.format in ("csr", "csc"):
        # Whole: _first_bad walks over .data without copying the matrix.
        yield 0, 0, X
        return
    if sparse.issparse(X):
        yield 0, 0, X.tocsr()
        return
    by_column = isinstance(X, CSCDataset)
    n_major, n_minor = X.shape[::-1] if by_column else X.shape
    step = max(1, _CHUNK // n_minor)
    for start in range(0, n_major, step):
        part = slice(start, start + step)
        try:
            chunk = X[:, part] if by_column else X[part]
        except (ValueError, IndexError, OSError) as error:
            raise ValueError(
                f"expected a readable matrix in {place}, found the file damaged ({error}); write "
                "it again"
            ) from error
        chunk = chunk if sparse.issparse(chunk) else np.asarray(chunk)
        yield (0, start, chunk) if by_column else (start, 0, chunk)


def _total(chunk: Any, axis: int) -> np.ndarray:
    """Sums along an axis. scipy's own ``sum`` puts the matrix in canonical form, the user's too."""
    ones = np.ones(chunk.shape[axis], np.result_type(chunk.dtype, np.float32))
    return chunk @ ones if axis == 1 else ones @ chunk


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
