"""How sure the clusters are, and which of them share cells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

from mixvi.metrics import certainty
from mixvi.pl._columns import probabilities

from .run import Run

__all__ = ["Between", "Uncertainty", "describe_uncertainty"]

SURE, UNSURE = 0.9, 0.5
PAIRS = 6
SECOND = 0.2  # probability from which a second cluster counts as an alternative


@dataclass(frozen=True)
class Between:
    """Cells that could be in either of two clusters."""

    one: str
    other: str
    n_cells: int


@dataclass(frozen=True)
class Uncertainty:
    """Confidence and novelty of the cells.

    Attributes
    ----------
    confidence, novelty
        Of every cell; the novelty may not be known.
    threshold
        Novelty above which a cell may be new, or ``None``.
    sure, unsure
        Shares of the cells with a confidence of at least .9, and below .5.
    novel
        Share of cells that may be new, or NaN.
    certainty
        :func:`mixvi.metrics.certainty`, or NaN.
    between
        Pairs of clusters by the number of cells that could be in either.
    """

    confidence: np.ndarray
    novelty: np.ndarray | None
    threshold: float | None
    sure: float
    unsure: float
    novel: float
    certainty: float
    between: list[Between]


def describe_uncertainty(adata: AnnData, run: Run) -> Uncertainty:
    """Collect what is known about the certainty of the clusters.

    Parameters
    ----------
    adata, run
        Annotated cells.
    """
    confidence = adata.obs[run.keys.confidence].to_numpy(dtype=float)
    novelty = adata.obs.get(run.keys.novelty)
    novel = adata.obs.get(run.keys.novel)
    probs = probabilities(adata, run.keys.name) if run.keys.probs in adata.obsm else None
    return Uncertainty(
        confidence=confidence,
        novelty=None if novelty is None else novelty.to_numpy(dtype=float),
        threshold=run.novelty_threshold,
        sure=float((confidence >= SURE).mean()),
        unsure=float((confidence < UNSURE).mean()),
        novel=np.nan if novel is None else float(novel.to_numpy(dtype=bool).mean()),
        certainty=np.nan if probs is None else certainty(probs.to_numpy(dtype=float)),
        between=[] if probs is None else _between(probs),
    )


def _between(probs: pd.DataFrame) -> list[Between]:
    values = probs.to_numpy(dtype=float)
    if values.shape[1] < 2:
        return []
    two = np.argpartition(values, -2, axis=1)[:, -2:]
    shared = np.take_along_axis(values, two, 1).min(1) >= SECOND
    pairs = Counter(map(tuple, np.sort(two[shared], axis=1).tolist()))
    names = [str(name) for name in probs.columns]
    return [Between(names[one], names[other], n) for (one, other), n in pairs.most_common(PAIRS)]
