"""The cells of a report: how many, of what depth, in which batches, and their counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from .run import Run

__all__ = ["Cells", "summarize_cells"]


@dataclass(frozen=True)
class Cells:
    """What the data are.

    Attributes
    ----------
    n_cells, n_genes, n_trained
        Cells, genes in the file, genes that the model was trained on (``None``: not stored).
    matrix
        Counts (or values) the model was given, cells × genes, CSR; ``None`` if the file lacks them.
    depth, detected
        Counts and genes with a count of every cell; ``None`` where there are no counts.
    lacks_counts
        Whether the model is one of counts and the matrix is not.
    groups
        Sizes of the batches, of the conditions, …, by what they are.
    """

    n_cells: int
    n_genes: int
    n_trained: int | None
    matrix: sparse.csr_matrix | None
    depth: np.ndarray | None
    detected: np.ndarray | None
    lacks_counts: bool
    groups: dict[str, pd.Series]


def summarize_cells(adata: AnnData, run: Run) -> Cells:
    """Count cells and genes.

    Parameters
    ----------
    adata
        Annotated cells.
    run
        Their run.
    """
    matrix = _matrix(adata, run.setup.get("layer"))
    is_count = matrix is not None and _has_counts(matrix)
    if matrix is None or not (run.counts and is_count):
        depth = detected = None
    else:
        depth, detected = np.asarray(matrix.sum(1)).ravel(), np.diff(matrix.indptr)
    groups = {}
    for role in ("batch", "condition", "labels"):
        column = run.key_of(role)
        if column in adata.obs:
            groups[f"{role}: {column}"] = adata.obs[column].astype(str).value_counts()
    return Cells(
        n_cells=adata.n_obs,
        n_genes=adata.n_vars,
        n_trained=int(run.stored["n_genes"]) if "n_genes" in run.stored else None,
        matrix=matrix,
        depth=depth,
        detected=detected,
        lacks_counts=run.counts and not is_count,
        groups=groups,
    )


def _matrix(adata: AnnData, layer: Any) -> sparse.csr_matrix | None:
    X = adata.layers.get(layer, adata.X)
    if X is None:
        return None
    if not isinstance(X, np.ndarray) and not sparse.issparse(X):
        X = X.to_memory() if hasattr(X, "to_memory") else X[:]  # of a backed file
    matrix = sparse.csr_matrix(X, dtype=np.float32)
    if not matrix.data.all():  # the arrays may be those of adata
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    return matrix


def _has_counts(matrix: sparse.csr_matrix) -> bool:
    some = matrix.data[:: max(1, len(matrix.data) // 100_000)]
    return bool(len(some) and some.min() >= 0 and (some == some.round()).all())
