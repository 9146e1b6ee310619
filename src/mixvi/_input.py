"""Reading and writing files for the command line, and what is done before training."""

import shutil
import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scanpy as sc

from mixvi._console import refuse
from mixvi.model.checks import check_matrix, check_whole, get_matrix

__all__ = ["check_counts", "read", "some_cells", "variable_genes", "without_empty", "write"]

SOME = 50_000  # cells on the disk of which variable genes are found


def read(path: Path, backed: bool = False) -> ad.AnnData:
    """Read an ``.h5ad`` file, or say what is wrong with it and exit.

    Parameters
    ----------
    path
        The file.
    backed
        Whether the matrix stays on the disk.
    """
    if not path.is_file():
        refuse(f"expected an .h5ad file, found no file {str(path)!r}; check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on names that repeat: the checks say it
            adata = ad.read_h5ad(path, backed="r" if backed else None)
            if backed and adata.n_obs:
                adata.X[:1]  # what is not there is noticed when it is read
            return adata
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        refuse(
            f"expected a readable .h5ad file, found {str(path)!r} damaged or of another format "
            f"({str(error).strip().splitlines()[0][:120]}); write it again"
        )


def write(adata: ad.AnnData, path: Path) -> None:
    """Write an ``.h5ad`` file, and look whether it is whole.

    Of cells on the disk the file is copied, and what is not the matrix written again.

    Raises
    ------
    OSError
        If it is not: HDF5 has several errors for a full disk, and sometimes none.
    """
    try:
        if not adata.isbacked:
            adata.write_h5ad(path, compression="gzip", compression_opts=1)
        else:
            shutil.copyfile(adata.filename, path)
        with h5py.File(path, "r+" if adata.isbacked else "r") as file:
            for name in ("obs", "var", "obsm", "uns") if adata.isbacked else ():
                del file[name]
                part = getattr(adata, name)
                ad.io.write_elem(file, name, part if name in ("obs", "var") else dict(part))
    except (OSError, RuntimeError) as error:
        raise OSError(
            f"expected to write the cells, found: {str(error).splitlines()[0][:120]}; free space "
            "on the disk or choose another directory"
        ) from error


def check_counts(
    matrix: Any, adata: ad.AnnData, layer: str | None, *, counts: bool, empty_genes: bool
) -> None:
    """Check a matrix as models do, or say what is wrong with it and exit."""
    try:
        check_matrix(
            matrix,
            counts=counts,
            what=layer or "X",
            obs_names=adata.obs_names,
            var_names=adata.var_names,
            empty_genes=empty_genes,
        )
    except ValueError as error:
        refuse(f"{error}, or pass --drop-empty" if " empty " in str(error) else error)


def without_empty(adata: ad.AnnData, layer: str | None) -> ad.AnnData:
    """Leave out cells and genes without counts."""
    check_whole(adata)
    matrix = get_matrix(adata, layer)
    cells, genes = ((matrix != 0).sum(axis=axis) for axis in (1, 0))
    return adata[np.asarray(cells).ravel() > 0, np.asarray(genes).ravel() > 0].copy()


def some_cells(adata: ad.AnnData) -> ad.AnnData:
    """In memory, of cells on the disk as many as fit there at random; else all."""
    if not adata.isbacked:
        return adata
    if adata.n_obs <= SOME:
        return adata.to_memory()
    rows = np.random.default_rng(0).choice(adata.n_obs, SOME, replace=False)
    return adata[np.sort(rows)].to_memory()


def variable_genes(
    matrix: Any, adata: ad.AnnData, n_top_genes: int, batch_key: str | None, counts: bool
) -> np.ndarray:
    """Mask of highly variable genes, found within batches if there are any."""
    copy = ad.AnnData(matrix.astype("float32"), obs=pd.DataFrame(index=adata.obs_names))
    if batch_key is not None:
        copy.obs[batch_key] = adata.obs[batch_key].astype("category").to_numpy()
        copy.obs[batch_key] = copy.obs[batch_key].astype("category")
    if counts:
        sc.pp.normalize_total(copy, target_sum=1e4)
        sc.pp.log1p(copy)
    sc.pp.highly_variable_genes(copy, n_top_genes=n_top_genes, batch_key=batch_key)
    return copy.var["highly_variable"].to_numpy()
