"""How batches, or conditions, spread over the clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

from mixvi.metrics import uncertainty_coefficient, within_type_mixing
from mixvi.pl._columns import categories

from .clusters import safe_colors
from .run import Run

__all__ = ["Spread", "describe_spread"]

SAMPLED = 5_000  # cells for the search of neighbors
MOST_GROUPS = 30  # batches that can be told apart in a bar


@dataclass(frozen=True)
class Spread:
    """A column of ``obs`` over the clusters.

    Attributes
    ----------
    role, column
        ``"batch"`` or ``"condition"``, and its column.
    names, colors
        Its categories.
    shares
        Clusters × categories, rows sum to 1; ``overall`` is the same for all cells.
    mixing
        :func:`mixvi.metrics.within_type_mixing` within clusters, in the latent space; NaN where
        that is not defined.
    told
        :func:`mixvi.metrics.uncertainty_coefficient` of the category, given the cluster.
    """

    role: str
    column: str
    names: list[str]
    colors: list[str]
    shares: pd.DataFrame
    overall: pd.Series
    mixing: float
    told: float


def describe_spread(adata: AnnData, run: Run, role: str) -> Spread | None:
    """Spread of a column that the model was given; ``None`` if there is none, or one category.

    Parameters
    ----------
    adata, run
        Annotated cells.
    role
        ``"batch"`` or ``"condition"``.
    """
    column = run.key_of(role)
    if column is None or column not in adata.obs:
        return None
    groups, clusters = categories(adata, column), categories(adata, run.keys.cluster)
    names = list(groups.cat.categories)
    if not 1 < len(names) <= MOST_GROUPS:
        return None
    table = pd.crosstab(clusters, groups, dropna=False)[names]
    table = table[table.sum(axis=1) > 0]
    known, mixing = groups.notna().to_numpy(), np.nan
    if run.keys.latent in adata.obsm:
        some = np.random.default_rng(0).permutation(adata.n_obs)[:SAMPLED]
        some = some[known[some]]
        z = np.asarray(adata.obsm[run.keys.latent])[some]
        try:
            mixing = within_type_mixing(z, groups.iloc[some], clusters.iloc[some])
        except ValueError:
            mixing = np.nan  # every cluster is of one batch
    return Spread(
        role=role,
        column=column,
        names=names,
        colors=safe_colors(adata, column, len(names)),
        shares=table.div(table.sum(axis=1), axis=0),
        overall=table.sum() / table.to_numpy().sum(),
        mixing=mixing,
        told=uncertainty_coefficient(groups[known], clusters[known]),
    )
