"""A two-dimensional embedding colored by cluster, label and confidence."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixvi._keys import Keys
from mixvi.pl._columns import categories, colors, legend, obs_column
from mixvi.pl._scatter import (
    bare,
    category_colors,
    embedding,
    point_size,
    shuffled,
    write_names,
)

__all__ = ["umap_panels"]


def umap_panels(
    adata: AnnData,
    *,
    key: str = "cgmdvae",
    label_key: str | None = None,
    basis: str = "X_umap",
) -> Figure:
    """Scatter an embedding, colored by cluster, by label and by confidence.

    One panel each, on the same points: the clusters with their names on the plot, the labels (if
    there are any) with a legend, and the confidence, the largest responsibility of each cell.
    Points are drawn in one fixed shuffled order, so that no cluster hides another.

    Parameters
    ----------
    adata
        Annotated data with ``obs[key]`` and ``obs[f"{key}_confidence"]``.
    key
        The ``key_added`` of the model's run.
    label_key
        Column of ``obs`` with known labels; ``None`` leaves this panel out.
    basis
        Key of ``obsm``, cells × 2; further dimensions are ignored.

    Returns
    -------
    Figure with two or three panels. Colors are those of ``uns[f"{key}_colors"]`` where present,
    else scanpy's, so that the panels match :func:`scanpy.pl.umap`.

    Raises
    ------
    KeyError
        If a column, or ``basis``, is missing.
    ValueError
        If ``obsm[basis]`` has fewer than two dimensions.
    """
    points = embedding(adata, basis)
    confidence = obs_column(adata, Keys(key).confidence).to_numpy(dtype=float)
    clusters = categories(adata, key)
    labels = None if label_key is None else categories(adata, label_key)

    order = shuffled(adata.n_obs)
    size = point_size(adata.n_obs)
    widths = [1.0, 1.08] if labels is None else [1.0, 1.0, 1.08]
    figure, axes = plt.subplots(
        1, len(widths), figsize=(4.6 * len(widths), 4.4), width_ratios=widths, layout="constrained"
    )
    _scatter_categories(axes[0], points, clusters, colors(adata, key, _n(clusters)), order, size)
    write_names(axes[0], points, clusters)
    axes[0].set_title(f"cluster ({key})")
    if label_key is not None and labels is not None:
        shades = colors(adata, label_key, _n(labels))
        _scatter_categories(axes[1], points, labels, shades, order, size)
        legend(axes[1], labels, shades)
        axes[1].set_title(f"label ({label_key})")
    drawn = axes[-1].scatter(
        points[order, 0],
        points[order, 1],
        c=confidence[order],
        s=size,
        cmap="viridis",
        vmax=1,
        linewidths=0,
        rasterized=True,
    )
    figure.colorbar(drawn, ax=axes[-1], shrink=0.7, label="largest responsibility")
    axes[-1].set_title("confidence")
    for axis in axes:
        bare(axis, basis)
    return figure


def _n(column: pd.Series) -> int:
    return len(column.cat.categories)


def _scatter_categories(
    axis: Axes,
    points: np.ndarray,
    column: pd.Series,
    shades: list[str],
    order: np.ndarray,
    size: float,
) -> None:
    shown = category_colors(column, shades)[order]
    axis.scatter(
        points[order, 0], points[order, 1], c=list(shown), s=size, linewidths=0, rasterized=True
    )
