"""The clusters of a report: one row each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.colors import to_hex

from mixvi.pl._columns import categories, colors

from .cells import Cells
from .markers import Marker, Markers
from .run import Run

__all__ = ["Cluster", "describe_clusters", "safe_colors"]

SURE = 0.9


@dataclass(frozen=True)
class Cluster:
    """A cluster.

    Attributes
    ----------
    name, color, n_cells, share
        What it is called, how it is drawn, how large it is.
    confidence, sure
        Mean confidence of its cells, share of them that is above .9.
    depth
        Median counts of its cells, relative to those of all cells; NaN without counts.
    label, label_share
        The most frequent label, its share of the labeled cells; ``None`` without labels.
    novel
        Share of its cells that may be new; NaN where that is not known.
    stability
        How well other runs find it again; NaN where that is not known.
    markers
        Best first.
    """

    name: str
    color: str
    n_cells: int
    share: float
    confidence: float
    sure: float
    depth: float
    label: str | None
    label_share: float
    novel: float
    stability: float
    markers: list[Marker]

    @property
    def has_stability(self) -> bool:
        """Whether other runs were compared."""
        return bool(np.isfinite(self.stability))


def describe_clusters(
    adata: AnnData, run: Run, cells: Cells, markers: Markers | None, label_key: str | None
) -> list[Cluster]:
    """One row per cluster that has cells, in the order of the categories.

    Parameters
    ----------
    adata, run, cells, markers
        Annotated cells and what is known about them.
    label_key
        Column of ``obs`` with labels to name the clusters by.
    """
    column = categories(adata, run.keys.cluster)
    shades = safe_colors(adata, run.keys.cluster, len(column.cat.categories))
    confidence = adata.obs[run.keys.confidence].to_numpy(dtype=float)
    novel = adata.obs.get(run.keys.novel)
    stored = adata.uns.get(run.keys.stability)
    stability = {} if stored is None else stored["stability"]
    labels = None if label_key is None else categories(adata, label_key)
    rows = []
    for name, shade in zip(column.cat.categories, shades, strict=True):
        own = (column == name).to_numpy()
        if not own.any():
            continue
        shares = None if labels is None else labels[own].value_counts(normalize=True)
        if shares is not None and not shares.sum():
            shares = None
        rows.append(
            Cluster(
                name=name,
                color=shade,
                n_cells=int(own.sum()),
                share=float(own.mean()),
                confidence=float(confidence[own].mean()),
                sure=float((confidence[own] >= SURE).mean()),
                depth=_relative(cells.depth, own),
                label=None if shares is None else str(shares.index[0]),
                label_share=np.nan if shares is None else float(shares.iloc[0]),
                novel=np.nan if novel is None else float(novel.to_numpy(dtype=bool)[own].mean()),
                stability=float(stability.get(name, np.nan)),
                markers=[] if markers is None else markers.by_cluster.get(name, []),
            )
        )
    return rows


def safe_colors(adata: AnnData, key: str, n_categories: int) -> list[str]:
    """Colors as six hexadecimal digits, whatever is stored: they go into a style sheet."""
    try:
        return [to_hex(color) for color in colors(adata, key, n_categories)]
    except ValueError:
        bare = AnnData(obs=pd.DataFrame(index=["0"]))
        return [to_hex(color) for color in colors(bare, key, n_categories)]


def _relative(depth: np.ndarray | None, own: np.ndarray) -> float:
    if depth is None:
        return np.nan
    return float(np.median(depth[own]) / max(np.median(depth), 1e-12))
