"""How much a cluster tells of a batch, and a cell of its cluster."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

__all__ = ["CONFOUNDED", "UNCLEAR", "certainty", "uncertainty_coefficient"]

CONFOUNDED = 0.5  # share of what there is to know of a batch that its cluster tells
UNCLEAR = 0.5  # share of what there is to know of a cluster that its cells tell
ROUNDING = 1e-6  # nats


def uncertainty_coefficient(batches: Any, clusters: Any) -> float:
    r"""Share of what there is to know of a cell's batch that its cluster tells (Theil's U).

    .. math:: U(b|y) = \frac{I(b; y)}{H(b)}

    the mutual information over the entropy, less the bias that empty cells of the table bring
    (:math:`(B - 1)(K - 1) / 2n`, Miller and Madow). 0: every cluster has all batches in their
    shares; 1: no cluster has cells of two batches.

    Parameters
    ----------
    batches, clusters
        Names, one per cell.
    """
    table = pd.crosstab(np.asarray(batches), np.asarray(clusters)).to_numpy()
    told = entropy(table.sum(1))
    if told == 0:
        return 0.0
    n_batches, n_clusters = table.shape
    bias = (n_batches - 1) * (n_clusters - 1) / (2 * table.sum())
    information = mutual_info_score(None, None, contingency=table)
    return float(np.clip((information - bias) / told, 0, 1))


def certainty(probs: np.ndarray) -> float:
    r"""Share of what there is to know of a cell's cluster that the cell tells.

    .. math:: 1 - \frac{\frac1n \sum_i H(p_i)}{H(\bar p)}

    with p_i the probabilities of the clusters and their mean :math:`\bar p`. 1: every cell is
    surely in one; 0: all cells have the same probabilities, and what is called their cluster is the
    largest of them.

    Parameters
    ----------
    probs
        Cells × clusters.
    """
    whole = entropy(probs.mean(0))
    if whole < ROUNDING:
        return 1.0
    return float(1 - entropy(probs, axis=1).mean() / whole)
