"""Small cells, ways to spoil them, and what it means that an object was left alone."""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from mixvi import datasets

N_CELLS, N_GENES = 48, 20
SMALL: dict[str, Any] = {"n_hidden": 8, "n_latent": 3}
QUICK: dict[str, Any] = {
    "max_epochs": 2,
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "batch_size": 32,
}


def cells(n_obs: int = N_CELLS, rng: int = 0) -> ad.AnnData:
    adata = datasets.simulate(
        n_obs, N_GENES, n_components=3, n_batches=2, n_conditions=2, depth=300, rng=rng
    )
    X = adata.X.toarray()
    X[:, 0] += 1  # no empty cell
    X[0] += 1  # no empty gene
    adata.X = sparse.csr_matrix(X)
    return adata


def with_matrix(change: Callable[[Any], Any]) -> Callable[[], ad.AnnData]:
    """Cells with another matrix."""

    def make() -> ad.AnnData:
        adata = cells()
        adata.X = change(adata.X)
        return adata

    return make


def with_entry(value: float) -> Callable[[], ad.AnnData]:
    """Cells of which one entry is something else."""

    def change(X):
        X = X.toarray().astype(float)
        X[3, 4] = value
        return sparse.csr_matrix(X)

    return with_matrix(change)


def with_column(key: str, values: Any) -> Callable[[], ad.AnnData]:
    """Cells with another column of ``obs``."""

    def make() -> ad.AnnData:
        adata = cells()
        adata.obs[key] = values
        return adata

    return make


def edited(change: Callable[[ad.AnnData], Any]) -> Callable[[], ad.AnnData]:
    """Cells after a change in place, or what the change returns."""

    def make() -> ad.AnnData:
        adata = cells()
        changed = change(adata)
        return changed if isinstance(changed, ad.AnnData) else adata

    return make


def in_parts(X: sparse.csr_matrix) -> sparse.csr_matrix:
    """The same matrix with every entry above one stored in two parts."""
    first = np.minimum(X.data, 1)
    data = np.stack([first, X.data - first], 1).ravel()
    return sparse.csr_matrix((data, np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape)


def unsorted(X: sparse.csr_matrix) -> sparse.csr_matrix:
    """The same matrix with its columns in falling order."""
    X = X.copy()
    for start, end in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.indices[start:end] = X.indices[start:end][::-1].copy()
        X.data[start:end] = X.data[start:end][::-1].copy()
    X.has_sorted_indices = False
    return X


def with_stored_zeros(X: sparse.csr_matrix) -> sparse.csr_matrix:
    """The same matrix with the zeros of the first five genes stored as well."""
    dense = X.toarray()
    shown = dense != 0
    shown[:, :5] = True
    rows, columns = shown.nonzero()
    X = sparse.csr_matrix((dense[shown], (rows, columns)), shape=dense.shape)
    if X.nnz == np.count_nonzero(dense):
        raise ValueError("expected zeros among the first genes, found none")
    return X


def contents(thing: Any) -> Any:
    """Everything that an object holds, in a form that can be compared.

    What scvi-tools registers (``_scvi…``) is left out.
    """
    if isinstance(thing, ad.AnnData):
        slots = {name: contents(getattr(thing, name)) for name in ("obs", "var", "obsm", "layers")}
        X = thing.X[:] if thing.isbacked else thing.X
        return {**slots, "uns": contents(thing.uns), "X": contents(X)}
    if sparse.issparse(thing):
        parts = ("data", "indices", "indptr")
        return type(thing).__name__, *(contents(np.asarray(getattr(thing, p))) for p in parts)
    if isinstance(thing, pd.DataFrame):
        columns = {c: contents(thing[c]) for c in thing if not str(c).startswith("_scvi")}
        return contents(np.asarray(thing.index)), columns
    if isinstance(thing, pd.Series):
        return str(thing.dtype), contents(thing.to_numpy())
    if isinstance(thing, Mapping):
        names = sorted(str(name) for name in thing if not str(name).startswith("_scvi"))
        return {name: contents(thing[name]) for name in names if name in thing}
    if isinstance(thing, np.ndarray):
        values = thing.tolist() if thing.dtype == object else thing.tobytes()
        return str(thing.dtype), thing.shape, repr(values)
    return repr(thing)


def files(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, with a digest of what is in it; hidden ones too."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).digest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)
