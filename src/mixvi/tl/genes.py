"""The genes that a model is trained on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData

__all__ = ["chosen_genes"]


def chosen_genes(adata: AnnData, mask_var: str | bool | None) -> np.ndarray:
    """Mask of the genes to train on.

    Parameters
    ----------
    adata
        Cells.
    mask_var
        A boolean column of ``var``; by default ``"highly_variable"`` if it is there, else all
        genes; ``False``: all.
    """
    if mask_var is None:
        mask_var = "highly_variable" if "highly_variable" in adata.var else False
    if mask_var is False:
        return np.ones(adata.n_vars, dtype=bool)
    if not isinstance(mask_var, str):
        raise TypeError(
            f"expected the name of a column of adata.var as mask_var, found a "
            f"{type(mask_var).__name__}; write the mask to a column, or pass mask_var=False to use "
            "all genes"
        )
    if mask_var not in adata.var:
        raise KeyError(
            f"expected a boolean column {mask_var!r} in adata.var, found "
            f"{', '.join(map(repr, adata.var.columns)) or 'none'}; pass mask_var=False to use "
            "all genes"
        )
    mask = adata.var[mask_var]
    if not pd.api.types.is_bool_dtype(mask) or mask.isna().any():
        raise TypeError(
            f"expected True and False in adata.var[{mask_var!r}], found {mask.dtype} "
            f"({', '.join(map(repr, mask.unique()[:3].tolist()))}, …); convert the column"
        )
    genes = mask.to_numpy(dtype=bool)
    if not genes.any():
        raise ValueError(f"expected genes with adata.var[{mask_var!r}], found none; check the mask")
    return genes
