"""What speaks against clusters: that there are none, or that they are batches."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from mixvi.metrics.information import CONFOUNDED, UNCLEAR, certainty, uncertainty_coefficient

__all__ = ["doubt_batches", "doubt_clusters"]

logger = logging.getLogger(__name__)


def doubt_batches(batches: Any, clusters: Any, key: str) -> None:
    """Say it where clusters and batches are nearly the same.

    Parameters
    ----------
    batches, clusters
        Names, one per cell.
    key
        Name of the batches' column.
    """
    share = uncertainty_coefficient(batches, clusters)
    if share > CONFOUNDED:
        logger.warning(
            "clusters and the batches of %r are confounded: a cell's cluster tells %.0f %% of what "
            "there is to know of its batch. Whether batches differ in their kinds of cells or in "
            "technique cannot be told from these data; batches that share kinds of cells can tell",
            key,
            100 * share,
        )


def doubt_clusters(probs: np.ndarray) -> None:
    """Say it where cells tell little of their cluster.

    Parameters
    ----------
    probs
        Cells × clusters.
    """
    told = certainty(probs)
    if told < UNCLEAR:
        logger.warning(
            "the cells may form no clusters: a cell tells %.0f %% of what there is to know of its "
            "cluster, of %d. Take them as a cut of a continuum, or of noise, not as kinds of cells",
            100 * told,
            probs.shape[1],
        )
