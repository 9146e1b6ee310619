"""Measured places beside predicted ones, and how shuffled places do."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from mixvi._keys import PlaceKeys
from mixvi.pl._body_map import draw_cells
from mixvi.pl._outline import draw_outline
from mixvi.pl._places import coordinate_names, in_words, p_value, stored_places

__all__ = ["place_errors"]


def place_errors(
    adata: AnnData,
    *,
    key: str = "place",
    color: str | None = None,
    dims: tuple[int, int] = (0, 1),
) -> Figure:
    """Compare measured places with those predicted without the cell's group.

    Of two or more coordinates: cells where they were measured, and the same cells where they are
    predicted, with an arrow from the center of each group to where its cells land. Of one
    coordinate: predicted against measured, with the median and 90% of the cells of each group.
    Last, the share of the squared error of the mean place that this map saves on groups left out,
    and that maps of shuffled places save.

    Parameters
    ----------
    adata
        Annotated data with a map of :func:`mixvi.tl.map_to_space`.
    key
        The ``key_added`` of the map.
    color
        Column of ``obs``, categories or numbers; by default the groups that were left out.
    dims
        The two coordinates that are drawn.

    Returns
    -------
    Figure with two or three panels.

    Raises
    ------
    KeyError
        If there is no map, or no such column.

    Warns
    -----
    UserWarning
        If the map is no better than shuffled places, p ≥ .01.
    """
    keys = PlaceKeys(key)
    measured, predicted = (stored_places(adata, name) for name in (keys.measured, keys.held_out))
    names = coordinate_names(adata, key, measured.shape[1])
    known = np.isfinite(measured).all(1)
    cells = adata[known]
    measured, predicted = measured[known], predicted[known]
    color = keys.group if color is None else color
    p = p_value(adata, key)
    if measured.shape[1] == 1:
        figure, axes = plt.subplots(
            1, 2, figsize=(9.6, 4.2), width_ratios=[1.4, 1], layout="constrained"
        )
        _along_axis(axes[0], measured[:, 0], predicted[:, 0], names[0])
    else:
        figure, axes = plt.subplots(
            1,
            3,
            figsize=(13.5, 4.4),
            width_ratios=[1, 1, 0.95],
            layout=ConstrainedLayoutEngine(wspace=0.06),
        )
        pair = list(dims)
        from_table = adata.uns[keys.params]["params"]["coords"] == "table"
        outline = "body" if from_table else "tissue"
        _side_by_side(axes[:2], cells, measured[:, pair], predicted[:, pair], color, outline)
        _arrows(axes[1], cells.obs[keys.group], measured[:, pair], predicted[:, pair])
        for axis in axes[:2]:
            axis.set(xlabel=names[dims[0]], ylabel=names[dims[1]])
    found = adata.uns[keys.params]
    _null(axes[-1], np.asarray(found["null"]), found["skill"], p)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _side_by_side(
    axes: np.ndarray,
    cells: AnnData,
    measured: np.ndarray,
    predicted: np.ndarray,
    color: str,
    outline: str,
) -> None:
    """The same cells twice, on the same outline and scale."""
    titles = ("measured", "predicted, its group left out")
    low, high = measured.min(0), measured.max(0)
    room = 0.08 * (high - low).max()
    for axis, points, title in zip(axes, (measured, predicted), titles, strict=True):
        draw_outline(axis, outline, measured)
        draw_cells(axis, cells, points, color, legend=points is predicted)
        axis.set_aspect("equal")
        axis.set(
            title=title,
            xticks=[],
            yticks=[],
            xlim=(low[0] - room, high[0] + room),
            ylim=(low[1] - room, high[1] + room),
        )


def _arrows(axis: Axes, groups: pd.Series, measured: np.ndarray, predicted: np.ndarray) -> None:
    """From the center of each group to the center of its predictions."""
    for group in groups.unique():
        inside = (groups == group).to_numpy()
        axis.annotate(
            "",
            np.median(predicted[inside], axis=0),
            np.median(measured[inside], axis=0),
            arrowprops={"arrowstyle": "-|>", "color": "black", "linewidth": 1.3},
            zorder=5,
        )
    axis.set_title(
        f"{axis.get_title()}\narrows: centers of groups, measured → predicted", fontsize=10
    )


def _along_axis(axis: Axes, measured: np.ndarray, predicted: np.ndarray, name: str) -> None:
    """Predicted against measured, every distinct place with the median and 90% of its cells."""
    ends = [measured.min(), measured.max()]
    axis.plot(ends, ends, color="gray", linestyle="--", linewidth=1, label="exact")
    there = np.unique(measured)
    few = len(there) <= 30
    bins = measured if few else np.digitize(measured, np.quantile(measured, np.arange(1, 15) / 15))
    width = 0.15 * np.diff(there).min() if few and len(there) > 1 else 0
    jitter = np.random.default_rng(0).uniform(-width, width, len(measured))
    axis.scatter(
        measured + jitter,
        predicted,
        s=6,
        color="tab:blue",
        alpha=0.25,
        linewidths=0,
        rasterized=True,
    )
    rows = [
        (measured[bins == b].mean(), *np.quantile(predicted[bins == b], [0.05, 0.5, 0.95]))
        for b in np.unique(bins)
    ]
    x, low, median, high = np.array(rows).T
    axis.errorbar(
        x,
        median,
        yerr=[median - low, high - median],
        fmt="o",
        color="black",
        capsize=3,
        label="median and 90% of the cells",
    )
    axis.set(xlabel=f"measured {name}", ylabel=f"predicted {name}, its group left out")
    axis.legend(frameon=False, fontsize=8)


def _null(axis: Axes, null: np.ndarray, skill: float, p: float | None) -> None:
    """Histogram of shuffled maps and a line for the real one."""
    # a shuffled map may be very wrong: what is below −1 goes to the lowest bar
    bins = np.linspace(-1, 1, 61).tolist()
    axis.hist(np.maximum(null, -1), bins=bins, color="0.7", label="shuffled places")
    axis.axvline(max(skill, -1), color="tab:red", linewidth=2, label=f"this map, {skill:.2f}")
    axis.set(xlabel="squared error saved against the mean place", ylabel="maps", xlim=(-1.04, 1.04))
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    if p is not None:
        axis.set_title(in_words(p), fontsize=10)
