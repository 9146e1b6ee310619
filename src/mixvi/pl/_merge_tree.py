"""Which components were merged, in what order, at what cost."""

from itertools import groupby
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.transforms import Transform

from mixvi.pl._columns import MISSING, color_of, stored_run

__all__ = ["merge_tree"]

_BETWEEN = "0.3"  # dark gray: branches that join clusters
_TICKS = (0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)


def merge_tree(adata: AnnData, *, key: str = "cgmdvae", ax: Axes | None = None) -> Axes:
    r"""Draw the tree by which components were merged to clusters.

    The components are the leaves, on the left, with their shares of the cells; two branches meet
    where their merge is paid for, so the further right, the more they differ. Every cluster is a
    band of its color (as in :func:`umap_panels`) with its name on the right; branches that join
    clusters are gray. The dashed line is the cost at which merging stopped.

    The cost is :math:`(\pi_k\pi_l/(\pi_k+\pi_l))^\gamma\, \mathrm{MMD}^2(P_k, P_l)`, relative to
    the separation of all components, :math:`\sum_{k<l} \pi_k\pi_l\, \mathrm{MMD}^2(P_k, P_l)`
    (their HSIC with the latent space). A merge that costs less than one before it is drawn where
    that one is. The axis is that of square roots, to show what is within clusters.

    Parameters
    ----------
    adata
        Annotated data with the clusters in ``obs[key]`` and in ``uns[key]`` the ``tree``, the
        ``components``, their ``weights`` and ``cluster_of_component``; and the ``threshold``, if
        merging stopped at one.
    key
        The ``key_added`` of the model's run.
    ax
        Axes to draw on; ``None`` makes a figure of a size that fits.

    Returns
    -------
    The axes.

    Raises
    ------
    KeyError
        If the clusters or the tree are missing.
    """
    run = stored_run(adata, key, "tree", "components", "weights", "cluster_of_component")
    shades = color_of(adata, key)
    weights = np.asarray(run["weights"], dtype=float)
    clusters = [str(name) for name in run["cluster_of_component"]]
    merges = np.asarray(run["tree"]["merges"], dtype=int)
    order = _leaf_order(merges, weights)
    if ax is None:
        size = (7.5, 1.1 + 0.22 * len(order))
        _, ax = plt.subplots(figsize=size, layout="constrained")

    heights = np.maximum.accumulate(np.asarray(run["tree"]["cost"], dtype=float))
    cut = run.get("threshold")
    _draw_branches(ax, merges, heights, order, clusters, shades, np.inf if cut is None else cut)
    _draw_clusters(ax, [clusters[k] for k in order], weights[order], shades)
    if cut is not None:
        ax.axvline(cut, color="black", linestyle="--", linewidth=1)
        ax.annotate(f"merged up to {cut:.3g}", (cut, 1), **_on_top(ax.get_xaxis_transform(), 0))
    ax.annotate("component", (0, 1), **_on_top(ax.transAxes, -4, ha="right"))
    ax.annotate("cluster", (1, 1), **_on_top(ax.transAxes, 8))
    leaves = [f"{run['components'][k]} ({100 * weights[k]:.1f}%)" for k in order]
    ax.set_yticks(range(len(order)), leaves, fontsize=8)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(order) - 0.5, -0.5)
    end = max(1.05 * heights.max(initial=1e-3), 2 * (cut or 0))  # room for the heading of the cut
    ax.set_xscale("function", functions=(np.sqrt, np.square))
    ax.set_xticks([x for x in _TICKS if x <= end], [f"{x:g}" for x in _TICKS if x <= end])
    ax.set_xlim(0, end)
    ax.set(xlabel="cost of the merge, relative to the separation of all components")
    ax.spines[["top", "left", "right"]].set_visible(False)
    return ax


def _leaf_order(merges: np.ndarray, weights: np.ndarray) -> list[int]:
    """Leaves so that no branches cross, the heavier side of every merge first."""
    nodes = [[k] for k in range(len(weights))]
    for pair in merges:
        sides = sorted((nodes[k] for k in pair), key=lambda leaves: -weights[leaves].sum())
        nodes.append(sides[0] + sides[1])
    return nodes[-1]


def _on_top(transform: Transform, shift: float, ha: str = "left") -> dict[str, Any]:
    """How a heading is put above a place on the upper edge."""
    where = {"xycoords": transform, "xytext": (shift, 4), "textcoords": "offset points"}
    return where | {"ha": ha, "va": "bottom", "fontsize": 8}


def _draw_branches(
    axis: Axes,
    merges: np.ndarray,
    heights: np.ndarray,
    order: list[int],
    clusters: list[str],
    shades: dict[str, str],
    cut: float,
) -> None:
    """Lines from every node to where it is merged, colored up to the cut within a cluster."""
    n = len(order)
    x = np.concatenate([np.zeros(n), heights])
    y = np.concatenate([np.argsort(order), np.zeros(n - 1)])
    owner: list[str | None] = [*clusters]
    segments, shown = [], []
    for node, pair in enumerate(merges, start=n):
        left, right = pair
        owner.append(owner[left] if owner[left] == owner[right] else None)
        y[node] = y[pair].mean()
        parts = [(owner[node], [(x[node], y[left]), (x[node], y[right])])]
        for child in pair:
            end = np.clip(cut, x[child], x[node])
            parts.append((owner[child], [(x[child], y[child]), (end, y[child])]))
            parts.append((None, [(end, y[child]), (x[node], y[child])]))
        for name, segment in parts:
            segments.append(segment)
            shown.append(_BETWEEN if name is None else shades.get(name, MISSING))
    axis.add_collection(LineCollection(segments, colors=shown, linewidths=1.6, capstyle="round"))


def _draw_clusters(
    axis: Axes, clusters: list[str], weights: np.ndarray, shades: dict[str, str]
) -> None:
    """A band for every run of leaves of one cluster, with its name and share on the right."""
    start = 0
    for name, run in groupby(clusters):
        stop = start + len(list(run))
        shade = shades.get(name, MISSING)
        axis.axhspan(start - 0.42, stop - 0.58, color=shade, alpha=0.13, linewidth=0)
        axis.annotate(
            f"{name} ({100 * weights[start:stop].sum():.1f}%)",
            (1, (start + stop - 1) / 2),
            xycoords=axis.get_yaxis_transform(),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            weight="bold",
            fontsize=9,
        )
        axis.plot(
            [1.005, 1.005],
            [start - 0.42, stop - 0.58],
            color=shade,
            linewidth=4,
            solid_capstyle="butt",
            transform=axis.get_yaxis_transform(),
            clip_on=False,
        )
        start = stop
