"""Whether a cluster is found again."""

from collections.abc import Iterable

import pandas as pd
from numpy.typing import ArrayLike

from mixvi.metrics.clustering import contingency


def cluster_stability(reference: ArrayLike, others: Iterable[ArrayLike]) -> pd.Series:
    r"""Score how well each cluster is found again by other clusterings of the same cells.

    .. math::
        s_k = \frac{1}{R} \sum_{r=1}^{R} \max_l
            \frac{|C_k \cap C^{(r)}_l|}{|C_k \cup C^{(r)}_l|}

    the mean over the R other clusterings of the best Jaccard index of cluster :math:`C_k`
    :cite:p:`hennig2007`. The others come from other seeds, or from samples of the cells: a cell
    that is missing (NaN, None) in one of them is left out of this comparison, and a cluster all
    of whose cells are missing does not count this comparison in its mean.

    Parameters
    ----------
    reference
        Clusters to score, shape (n,), none missing.
    others
        Further clusterings of the same n cells in the same order, with names of their own.

    Returns
    -------
    pandas.Series
        Indexed by cluster in natural order, in (0, 1]. 1: found exactly, every time. A cluster
        that all others cut in halves has ½, and so has one that they join with another of its
        size; below, it is as good as dissolved. A large cluster overlaps with whatever there is:
        its share of the cells is the least that one other cluster of all cells gives it. NaN if
        its cells are missing in all others.

    Raises
    ------
    ValueError
        If there are no others, lengths differ, or a cell of ``reference`` has no cluster.
    """
    clusters = pd.Series(reference)
    n_missing = int(clusters.isna().sum())
    if n_missing:
        raise ValueError(
            f"expected a cluster for every cell of `reference`, found {n_missing} without; leave "
            "these cells out of all arguments, or give them a cluster of their own."
        )
    best = []
    for i, other in enumerate(others):
        n_cells = len(pd.Series(other))
        if n_cells != len(clusters):
            raise ValueError(
                f"expected the {len(clusters)} cells of `reference` in each of `others`, found "
                f"{n_cells} in number {i}; mark cells that it leaves out as missing."
            )
        best.append(_best_jaccard(contingency(other, clusters)))
    if not best:
        raise ValueError(
            "expected at least one other clustering in `others`, found none; cluster the cells "
            "again, for example with another seed."
        )
    names = contingency(clusters, clusters).index
    return pd.concat(best, axis=1).mean(axis=1).reindex(names).rename("stability")


def _best_jaccard(table: pd.DataFrame) -> pd.Series:
    """Largest Jaccard index of each row of a contingency table."""
    rows, columns = table.sum(axis=1).to_numpy(), table.sum(axis=0).to_numpy()
    return (table / (rows[:, None] + columns - table)).max(axis=1)
