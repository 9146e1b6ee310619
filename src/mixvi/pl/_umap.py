"""A two-dimensional embedding colored by cluster, label and confidence."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from mixvi._keys import Keys
from mixvi.pl._columns import MISSING, categories, colors, legend, obs_column

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
    points = _points(adata, basis)
    confidence = obs_column(adata, Keys(key).confidence).to_numpy(dtype=float)
    clusters = categories(adata, key)
    labels = None if label_key is None else categories(adata, label_key)

    order = np.random.default_rng(0).permutation(adata.n_obs)
    size = float(np.clip(120_000 / max(adata.n_obs, 1) / 4, 1, 24))
    widths = [1.0, 1.08] if labels is None else [1.0, 1.0, 1.08]
    figure, axes = plt.subplots(
        1, len(widths), figsize=(4.6 * len(widths), 4.4), width_ratios=widths, layout="constrained"
    )
    _scatter_categories(axes[0], points, clusters, colors(adata, key, _n(clusters)), order, size)
    _write_names(axes[0], points, clusters)
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
    name = basis.removeprefix("X_")
    for axis in axes:
        axis.set(xticks=[], yticks=[], xlabel=f"{name} 1", ylabel=f"{name} 2")
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _n(column: pd.Series) -> int:
    return len(column.cat.categories)


def _points(adata: AnnData, basis: str) -> np.ndarray:
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


def _scatter_categories(
    axis: Axes,
    points: np.ndarray,
    column: pd.Series,
    shades: list[str],
    order: np.ndarray,
    size: float,
) -> None:
    # Code −1 is a missing value and picks the last color.
    palette = np.array([*shades, MISSING], dtype=object)
    shown = palette[column.cat.codes.to_numpy()[order]]
    axis.scatter(
        points[order, 0], points[order, 1], c=list(shown), s=size, linewidths=0, rasterized=True
    )


def _write_names(axis: Axes, points: np.ndarray, column: pd.Series) -> None:
    for name in column.cat.categories:
        members = (column == name).to_numpy()
        if members.any():
            x, y = np.median(points[members], axis=0)
            outline = [withStroke(linewidth=2.5, foreground="white")]
            axis.text(
                x, y, name, ha="center", va="center", weight="bold", path_effects=outline, size=9
            )
