"""Checks of what holds cells, and of which of them are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from .columns import listing

__all__ = [
    "check_anndata",
    "check_cells",
    "check_indices",
    "check_n_components",
    "check_shape",
    "check_unique",
]


def check_anndata(adata: Any) -> None:
    """Check that something is an AnnData.

    Raises
    ------
    TypeError
        If it is not.
    """
    if isinstance(adata, AnnData):
        return
    todo = "make one: anndata.AnnData(X), or read it: anndata.read_h5ad(path)"
    modalities = getattr(adata, "mod", None)
    if isinstance(modalities, Mapping) and modalities:  # of a MuData
        name = next(iter(modalities))
        todo = f"take one modality: mdata[{name!r}], or setup_mudata(mdata, {name!r}) first"
    raise TypeError(f"expected an AnnData, found {type(adata).__name__}; {todo}")


def check_cells(adata: AnnData) -> None:
    """Check that an AnnData can be registered: an object of its own with cells and genes.

    Parameters
    ----------
    adata
        Annotated data.

    Raises
    ------
    TypeError
        If it is something else.
    ValueError
        If it is a view of another, or has no cells or no genes.
    """
    check_anndata(adata)
    if adata.is_view:
        raise ValueError(
            "expected an AnnData of its own, found a view of another; pass adata.copy()"
        )
    check_shape(adata.shape, "adata")


def check_shape(shape: tuple[int, int], place: str) -> None:
    """Check that there are cells and genes.

    Raises
    ------
    ValueError
        If not.
    """
    if 0 in shape:
        raise ValueError(
            f"expected at least one cell and one gene in {place}, found {shape[0]} cells × "
            f"{shape[1]} genes; check the filters applied before"
        )


def check_unique(var_names: pd.Index) -> None:
    """Check that no two genes have the same name.

    Raises
    ------
    ValueError
        If they have.
    """
    if not var_names.is_unique:
        repeated = var_names[var_names.duplicated()].unique()
        raise ValueError(
            f"expected unique gene names, found {listing(repeated)} more than once; call "
            "adata.var_names_make_unique() first"
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


def check_indices(indices: Any, n_obs: int) -> np.ndarray:
    """Positions of cells, from positions (negative ones count from the end) or a mask.

    Parameters
    ----------
    indices
        What the user gave.
    n_obs
        Number of cells.

    Raises
    ------
    TypeError
        If they are not whole numbers.
    IndexError
        If there are no such cells, or a mask has another length.
    ValueError
        If there are none.
    """
    rows = np.asarray(indices)
    if rows.size == 0 or (rows.dtype == bool and not rows.any()):
        raise ValueError("expected at least one cell, found none in indices; leave it out for all")
    if rows.dtype == bool:
        if rows.shape != (n_obs,):
            raise IndexError(f"expected a mask of {n_obs} cells, found {rows.size}; align it")
        return np.flatnonzero(rows)
    if rows.dtype.kind not in "iu" or rows.ndim != 1:
        raise TypeError(
            f"expected indices to be a list of whole numbers or a mask, found {rows.dtype} in "
            f"{rows.ndim} dimensions; convert names with adata.obs_names.get_indexer(names)"
        )
    wrong = rows[(rows < -n_obs) | (rows >= n_obs)]
    if wrong.size:
        raise IndexError(f"expected indices below {n_obs}, found {wrong[0]}; check the order")
    return rows % n_obs
