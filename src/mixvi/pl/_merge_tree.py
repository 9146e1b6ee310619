"""Which components were merged, in what order, at what cost."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.transforms import Transform

from mixvi.pl._columns import MISSING, color_of, stored_run
from mixvi.pl._tree_layout import TreeLayout, lay_out_tree

__all__ = ["merge_tree"]

_BETWEEN = "0.3"  # dark gray: branches that join clusters
AXIS = "cost of the merge, relative to the separation of all components"
TICKS = (0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)


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
    tree = lay_out_tree(run)
    n = len(tree.components)
    if ax is None:
        ax = plt.subplots(figsize=(7.5, 1.1 + 0.22 * n), layout="constrained")[1]

    lines = [list(zip(branch.x, branch.y, strict=True)) for branch in tree.branches]
    shown = [
        _BETWEEN if branch.cluster is None else shades.get(branch.cluster, MISSING)
        for branch in tree.branches
    ]
    ax.add_collection(LineCollection(lines, colors=shown, linewidths=1.6, capstyle="round"))
    _draw_clusters(ax, tree, shades)
    if tree.cut is not None:
        ax.axvline(tree.cut, color="black", linestyle="--", linewidth=1)
        heading = f"merged up to {tree.cut:.3g}"
        ax.annotate(heading, (tree.cut, 1), **_on_top(ax.get_xaxis_transform(), 0))
    ax.annotate("component", (0, 1), **_on_top(ax.transAxes, -4, ha="right"))
    ax.annotate("cluster", (1, 1), **_on_top(ax.transAxes, 8))
    leaves = [
        f"{name} ({100 * share:.1f}%)"
        for name, share in zip(tree.components, tree.weights, strict=True)
    ]
    ax.set_yticks(range(n), leaves, fontsize=8)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(n - 0.5, -0.5)
    ticks = [x for x in TICKS if x <= tree.end]
    ax.set_xscale("function", functions=(np.sqrt, np.square))
    ax.set_xticks(ticks, [f"{x:g}" for x in ticks])
    ax.set_xlim(0, tree.end)
    ax.set(xlabel=AXIS)
    ax.spines[["top", "left", "right"]].set_visible(False)
    return ax


def _on_top(transform: Transform, shift: float, ha: str = "left") -> dict[str, Any]:
    """How a heading is put above a place on the upper edge."""
    where = {"xycoords": transform, "xytext": (shift, 4), "textcoords": "offset points"}
    return where | {"ha": ha, "va": "bottom", "fontsize": 8}


def _draw_clusters(axis: Axes, tree: TreeLayout, shades: dict[str, str]) -> None:
    """A band for every run of leaves of one cluster, with its name and share on the right."""
    for name, start, stop in tree.runs():
        shade = shades.get(name, MISSING)
        axis.axhspan(start - 0.42, stop - 0.58, color=shade, alpha=0.13, linewidth=0)
        axis.annotate(
            f"{name} ({100 * tree.weights[start:stop].sum():.1f}%)",
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
