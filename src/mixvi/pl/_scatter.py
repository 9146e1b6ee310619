"""Cells as points: what every picture of an embedding shares."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from mixvi.pl._columns import MISSING

LOOK: dict[str, Any] = {"linewidths": 0, "rasterized": True}


def embedding(adata: AnnData, basis: str) -> np.ndarray:
    """Give the first two dimensions of ``obsm[basis]``.

    Raises
    ------
    KeyError
        If there is no such embedding.
    ValueError
        If it has fewer than two dimensions.
    """
    if basis not in adata.obsm:
        found = ", ".join(repr(str(name)) for name in adata.obsm) or "none"
        raise KeyError(
            f"expected the embedding {basis!r} in adata.obsm, found {found}; compute it first "
            "(for a UMAP: scanpy.pp.neighbors, then scanpy.tl.umap)"
        )
    points = np.asarray(adata.obsm[basis])
    if points.ndim != 2 or points.shape[1] < 2:
        raise ValueError(
            f"expected at least two dimensions in adata.obsm[{basis!r}], found shape "
            f"{points.shape}; pass another basis"
        )
    return points[:, :2]


def shuffled(n: int) -> np.ndarray:
    """One fixed order of the cells, so that no cluster hides another."""
    return np.random.default_rng(0).permutation(n)


def point_size(n: int) -> float:
    """Area of a point: fewer cells are drawn larger."""
    return float(np.clip(30_000 / max(n, 1), 1, 24))


def new_axes(ax: Axes | None, size: tuple[float, float] = (5.2, 4.4)) -> Axes:
    """Give ``ax``, or those of a new figure."""
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def category_colors(column: pd.Series, shades: list[str]) -> np.ndarray:
    """Give the color of every cell; a missing value (code −1) picks the last."""
    return np.array([*shades, MISSING], dtype=object)[column.cat.codes.to_numpy()]


def bare(axis: Axes, basis: str) -> None:
    """Name the two dimensions, without ticks."""
    name = basis.removeprefix("X_")
    axis.set(xticks=[], yticks=[], xlabel=f"{name} 1", ylabel=f"{name} 2")
    axis.spines[["top", "right"]].set_visible(False)


def write_names(axis: Axes, points: np.ndarray, column: pd.Series) -> None:
    """Write every category where its cells are, at the median, or beside it if names would meet."""
    places = {
        name: np.median(points[(column == name).to_numpy()], axis=0)
        for name in column.cat.categories
        if (column == name).any()
    }
    spread = np.ptp(points, axis=0) if len(points) else np.ones(2)
    shown = apart(np.array(list(places.values())).reshape(-1, 2), np.where(spread > 0, spread, 1))
    for name, (x, y) in zip(places, shown, strict=True):
        outline = [withStroke(linewidth=2.5, foreground="white")]
        axis.text(x, y, name, ha="center", va="center", weight="bold", path_effects=outline, size=9)


def apart(places: np.ndarray, spread: np.ndarray, gap: float = 0.05) -> np.ndarray:
    """Move places that are nearer than ``gap`` of the spread apart, each half of the way."""
    places = places / spread
    for _ in range(50):
        moved = np.zeros_like(places)
        for i in range(1, len(places)):
            away = places[i] - places[:i]
            far = np.linalg.norm(away, axis=1)
            away[far == 0], far[far == 0] = [0, 1e-9], 1e-9
            step = away / far[:, None] * np.maximum(gap - far, 0)[:, None] / 2
            moved[i] += step.sum(0)
            moved[:i] -= step
        if not moved.any():
            break
        places = places + moved
    return places * spread
