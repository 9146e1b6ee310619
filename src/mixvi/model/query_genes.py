"""A query measured on other genes than the reference."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from .cells import check_unique
from .checks import check_whole
from .columns import listing

__all__ = ["GeneOverlap", "with_genes"]

logger = logging.getLogger(__name__)

ENOUGH = 0.8  # share of the reference's genes below which the user is warned


@dataclass(frozen=True)
class GeneOverlap:
    """How the genes of a query lie to those of a reference.

    Attributes
    ----------
    n_reference
        Number of genes of the reference.
    missing
        Genes of the reference that the query lacks.
    n_extra
        Number of the query's genes that the reference does not know.
    in_order
        Whether the query has exactly the reference's genes in its order.
    """

    n_reference: int
    missing: pd.Index
    n_extra: int
    in_order: bool

    @classmethod
    def of(cls, adata: AnnData, genes: pd.Index) -> GeneOverlap:
        """Compare; the query's names must be unique and some of them the reference's."""
        names = adata.var_names
        check_unique(names)
        missing = genes.difference(names, sort=False)
        if len(missing) == len(genes):
            raise ValueError(
                f"expected genes of the reference (such as {listing(genes[:3])}), found none "
                f"among {len(names)} (such as {listing(names[:3])}); bring var_names to the "
                "same kind of names, for example symbols instead of identifiers"
            )
        n_extra = len(names) - (len(genes) - len(missing))
        return cls(len(genes), missing, n_extra, names.equals(genes))

    def __str__(self) -> str:
        found = self.n_reference - len(self.missing)
        parts = [f"found {found} of the {self.n_reference} genes of the reference"]
        if len(self.missing):
            parts.append(f"filled {len(self.missing)} with zeros ({listing(self.missing)})")
        if self.n_extra:
            parts.append(f"left out {self.n_extra} that it does not know")
        return ", ".join(parts)


def with_genes(adata: AnnData, genes: np.ndarray) -> AnnData:
    """The query with exactly the genes of the reference, in its order, missing ones as zeros.

    Says what was done: at level INFO, and as a warning where more than a fifth are missing.

    Parameters
    ----------
    adata
        Query; not changed.
    genes
        The reference's genes.

    Returns
    -------
    ``adata`` itself if nothing is to do, else a new object in memory.

    Raises
    ------
    ValueError
        If none of the reference's genes is there, names of genes repeat, or a matrix is damaged.
    """
    wanted = pd.Index(genes)
    overlap = GeneOverlap.of(adata, wanted)
    if overlap.in_order:
        return adata
    if len(overlap.missing) > (1 - ENOUGH) * len(wanted):
        warnings.warn(
            f"{overlap}; where so much is missing cells may look like other cells, or new",
            UserWarning,
            stacklevel=3,
        )
    else:
        logger.info("%s", overlap)
    present = wanted.intersection(adata.var_names, sort=False)
    check_whole(adata)
    part = adata[:, present]
    part = part.to_memory() if part.isbacked else part.copy()
    if len(overlap.missing):
        # since anndata 0.13 the layer None is X
        layers = [name for name in part.layers if name is not None]
        empty = sparse.csr_matrix((adata.n_obs, len(overlap.missing)), dtype=np.float32)
        padding = AnnData(
            X=None if part.X is None else empty,
            obs=pd.DataFrame(index=part.obs_names),
            var=pd.DataFrame(index=overlap.missing),
            layers={name: empty.copy() for name in layers},
        )
        joined = ad.concat([part, padding], axis=1, join="outer")
        part = AnnData(
            X=joined.X,
            obs=part.obs,
            var=part.var.reindex(joined.var_names),
            uns=part.uns,
            obsm=part.obsm,
            layers={name: joined.layers[name] for name in layers},
        )[:, wanted].copy()
    return part
