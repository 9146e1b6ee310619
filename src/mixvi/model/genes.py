"""Genes are matched by name: the wrong order never gives a silent wrong answer."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from anndata import AnnData

from .cells import check_unique
from .checks import check_whole

__all__ = ["match_genes"]

logger = logging.getLogger(__name__)


def match_genes(adata: AnnData, genes: np.ndarray) -> AnnData:
    """``adata`` with exactly the model's genes in the model's order.

    Parameters
    ----------
    adata
        Cells to use; not changed.
    genes
        Names of the genes that the model was trained on.

    Returns
    -------
    ``adata`` itself if its genes are the model's already, else a copy in memory without the genes
    that the model does not know.

    Raises
    ------
    ValueError
        If a gene of the model is missing, names occur twice, or a matrix is damaged.
    """
    names = adata.var_names
    if len(names) == len(genes) and np.array_equal(np.asarray(names), genes):
        return adata
    check_unique(names)
    missing = pd.Index(genes).difference(names, sort=False)
    if len(missing):
        shown = ", ".join(map(repr, missing[:5])) + (", …" if len(missing) > 5 else "")
        raise ValueError(
            f"expected all {len(genes)} genes of the model, found {len(genes) - len(missing)} of "
            f"them (missing: {shown}); check that var_names has the same kind of names"
        )
    logger.info("genes are reordered and subset to the %d of the model", len(genes))
    check_whole(adata)
    matched = adata[:, genes]
    return matched.to_memory() if adata.isbacked else matched.copy()
