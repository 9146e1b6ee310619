"""Cells on a body or a tissue."""

from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from mixvi._keys import PlaceKeys
from mixvi.pl._columns import categories, colors, obs_column
from mixvi.pl._columns import legend as name_categories
from mixvi.pl._outline import draw_outline
from mixvi.pl._places import (
    CHANCE,
    coordinate_names,
    drawn_places,
    in_words,
    p_value,
    stored_places,
)
from mixvi.pl._scatter import category_colors, shuffled

__all__ = ["body_map"]


def body_map(
    adata: AnnData,
    *,
    key: str = "place",
    color: str | None = None,
    outline: Literal["body", "tissue"] | np.ndarray | None = None,
    dims: tuple[int, int] = (0, 1),
    ax: Axes | None = None,
) -> Axes:
    """Draw every cell at the place that :func:`mixvi.tl.map_to_space` gave it.

    A cell whose place is known is drawn where the read-out puts it that has *not* seen its group,
    so the picture shows predictions only, and cells of an organ or a block spread as widely as the
    map is wrong. The cross shows the usual error bar, ± one standard error. Of a map from a table
    of places, such as organs, rings with names show where these are.

    Parameters
    ----------
    adata
        Annotated data with the map.
    key
        The ``key_added`` of the map.
    color
        Column of ``obs``, categories or numbers; by default the groups that were left out.
    outline
        ``"body"``: a silhouette for places in cm, as those of
        :func:`mixvi.datasets.organ_places`. ``"tissue"``: the region that the measured places
        fill. Or the corners of a polygon, n × 2. By default the body for a map from a table, and
        the tissue otherwise.
    dims
        The two coordinates that are drawn; of three, the view from the side is ``(0, 2)``.
    ax
        Axes to draw on; ``None`` makes a figure.

    Returns
    -------
    The axes.

    Raises
    ------
    KeyError
        If there is no map, or no such column.
    ValueError
        If the map has no such coordinates.

    Warns
    -----
    UserWarning
        If the map is no better than shuffled places, p ≥ .01; the title says so, too.
    """
    keys = PlaceKeys(key)
    places = drawn_places(adata, key)
    if places.shape[1] <= max(dims):
        raise ValueError(
            f"expected at least {max(dims) + 1} coordinates, found {places.shape[1]}; pass other "
            "dims, or use mixvi.pl.place_errors, which also draws one coordinate"
        )
    points = places[:, list(dims)]
    names = coordinate_names(adata, key, places.shape[1])
    measured = stored_places(adata, keys.measured) if keys.measured in adata.obsm else None
    params = adata.uns.get(keys.params, {}).get("params", {})
    from_table = params.get("coords") == "table"
    if outline is None:
        outline = "body" if from_table else "tissue"
    if color is None and keys.group in adata.obs:
        color = keys.group
    if color is not None:
        obs_column(adata, color)  # refuses before anything is drawn
    p = p_value(adata, key)

    if ax is None:
        _, ax = plt.subplots(
            figsize=(5.2, 7.4) if isinstance(outline, str) and outline == "body" else (6.4, 5.4),
            layout="constrained",
        )
    draw_outline(ax, outline, points if measured is None else measured[:, list(dims)])
    # the rows of the table; what is left out may be donors
    ringed = params.get("obs_key", keys.group)
    rings = from_table and ringed in adata.obs
    same = params.get("groups_key", ringed) == ringed
    named = rings and (color == ringed or (same and color == keys.group))
    draw_cells(ax, adata, points, color, legend=not named)
    if rings and measured is not None:
        _rings(ax, adata.obs[ringed], measured[:, list(dims)])
    if keys.sd in adata.obsm:
        _error_bar(ax, np.median(stored_places(adata, keys.sd)[:, list(dims)], axis=0))
    ax.set_aspect("equal")
    ax.spines[["top", "right", "left", "bottom"]].set_visible(False)
    ax.set(xticks=[], yticks=[])
    if not (isinstance(outline, str) and outline == "body"):
        ax.set(xlabel=names[dims[0]], ylabel=names[dims[1]])
    if p is not None:
        ax.set_title(in_words(p), fontsize=10, color="black" if p < CHANCE else "firebrick")
    return ax


def draw_cells(
    axis: Axes, adata: AnnData, points: np.ndarray, color: str | None, *, legend: bool = True
) -> None:
    """Scatter cells in a fixed shuffled order, with a legend or a color bar."""
    order = shuffled(len(points))
    style: dict[str, Any] = {
        "s": float(np.clip(30_000 / max(len(points), 1), 2, 22)),
        "linewidths": 0,
        "alpha": 0.75,
        "rasterized": True,
    }
    x, y = points[order].T
    if color is None:
        axis.scatter(x, y, color="tab:blue", **style)
        return
    values = obs_column(adata, color)
    if pd.api.types.is_numeric_dtype(values):
        drawn = axis.scatter(x, y, c=values.to_numpy(dtype=float)[order], cmap="viridis", **style)
        if legend:
            axis.figure.colorbar(drawn, ax=axis, shrink=0.6, label=color)
        return
    column = categories(adata, color)
    shades = colors(adata, color, len(column.cat.categories))
    axis.scatter(x, y, c=list(category_colors(column, shades)[order]), **style)
    if legend and len(shades) <= 40:
        name_categories(axis, column, shades, color)


def _rings(axis: Axes, groups: pd.Series, measured: np.ndarray) -> None:
    """A ring at the place of each row of the table, its name on the outer side."""
    places = pd.DataFrame(measured).dropna().drop_duplicates()
    axis.scatter(places[0], places[1], s=70, facecolors="none", edgecolors="black", zorder=4)
    names = groups.astype(object).iloc[places.index]
    middle = places[0].median()
    for name, (x, y) in zip(names, places.to_numpy(), strict=True):
        side = -1 if x <= middle else 1
        _write(axis, str(name), (x, y), (6 * side, 4), ha="right" if side < 0 else "left")


def _error_bar(axis: Axes, sd: np.ndarray) -> None:
    """The usual error bar, as a cross in the lower left corner, beside the picture."""
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    x, y = left - 1.1 * sd[0], low + sd[1] + 0.02 * (high - low)
    axis.set(xlim=(x - 1.1 * sd[0], right), ylim=(low, max(high, y + 1.1 * sd[1])))
    axis.errorbar(x, y, yerr=sd[1], xerr=sd[0], color="black", linewidth=1.2, capsize=3, zorder=6)
    _write(axis, "usual error", (x, y), (5, 5), ha="left")


def _write(
    axis: Axes, text: str, place: tuple[float, float], shift: tuple[float, float], *, ha: str
) -> None:
    outline = [withStroke(linewidth=2.5, foreground="white")]
    style: dict[str, Any] = {"fontsize": 8, "path_effects": outline, "zorder": 5, "ha": ha}
    axis.annotate(text, place, shift, textcoords="offset points", **style)
