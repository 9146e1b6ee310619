"""Cells that stay on the disk while a model is trained on some of their genes."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
from scipy import sparse

from mixvi.model.checks import check_numbers, get_matrix

__all__ = ["genes_on_disk"]

CHUNK = 2**22  # matrix entries looked at together


def genes_on_disk(adata: ad.AnnData, genes: np.ndarray, directory: Path) -> ad.AnnData:
    """Copy some genes of a backed AnnData to a file of their own, and open that backed.

    Compressed by rows and by nothing else, so that a mini-batch is read fast; a part of the cells
    is in memory at a time.

    Parameters
    ----------
    adata
        Cells whose matrix is on the disk, in ``X``.
    genes
        Mask of the genes.
    directory
        Where the file goes.
    """
    X = get_matrix(adata)
    path = directory / "cells.h5ad"
    none = sparse.csr_matrix((0, int(genes.sum())), dtype=np.float32)
    none.indptr = none.indptr.astype(np.int64)  # there may be more entries than int32 counts
    ad.AnnData(none, var=adata.var.loc[genes]).write_h5ad(path)
    step = max(1, CHUNK // adata.n_vars)
    with h5py.File(path, "r+") as file:
        written = ad.io.sparse_dataset(file["X"])
        for start in range(0, adata.n_obs, step):
            part = X[start : start + step]
            check_numbers(part)
            part = sparse.csr_matrix(part)[:, genes].astype(np.float32)
            part.sum_duplicates()
            written.append(part)
        for name, table in (("obs", adata.obs), ("obsm", dict(adata.obsm))):
            del file[name]
            ad.io.write_elem(file, name, table)
    return ad.read_h5ad(path, backed="r")
