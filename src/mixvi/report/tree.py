"""The merge tree of a report: how many clusters there are, and could be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from anndata import AnnData
from markupsafe import Markup

from mixvi.pl._columns import categories
from mixvi.pl._merge_tree import AXIS, TICKS
from mixvi.pl._tree_layout import TreeLayout, lay_out_tree

from .clusters import safe_colors
from .run import Run
from .svg import label, picture, rounded

__all__ = ["Tree", "describe_tree"]

NEEDED = ("tree", "components", "weights", "cluster_of_component")
WIDTH, ROW = 660.0, 20.0
LEFT, RIGHT, TOP, BOTTOM = 92.0, 130.0, 26.0, 46.0
LONGEST = 14  # letters of a name


@dataclass(frozen=True)
class Tree:
    """How components were merged.

    Attributes
    ----------
    n_components, n_clusters
        Before and after.
    picture
        The tree.
    joined, joined_cost
        Clusters that would be one if there were one fewer, and what that would cost; none of one.
    divided, divided_cost
        Cluster that would be two if there were one more, and what joining them has cost; ``None``
        if nothing was merged.
    """

    n_components: int
    n_clusters: int
    picture: Markup
    joined: list[str]
    joined_cost: float
    divided: str | None
    divided_cost: float


def describe_tree(adata: AnnData, run: Run) -> Tree | None:
    """Read the merge tree of a run; ``None`` if it has none.

    Parameters
    ----------
    adata, run
        Annotated cells and their run.
    """
    if any(name not in run.stored for name in NEEDED) or len(run.stored["components"]) < 2:
        return None
    names = categories(adata, run.keys.cluster).cat.categories
    shades = dict(zip(names, safe_colors(adata, run.keys.cluster, len(names)), strict=True))
    owners = [str(name) for name in run.stored["cluster_of_component"]]
    merges = np.asarray(run.stored["tree"]["merges"], dtype=int).reshape(-1, 2).tolist()
    cost = np.maximum.accumulate(np.asarray(run.stored["tree"]["cost"], dtype=float))
    below = [{owner} for owner in owners]
    for left, right in merges:
        below.append(below[left] | below[right])
    n, n_clusters = len(owners), len(set(owners))
    made = n - n_clusters
    layout = lay_out_tree(run.stored)
    title = f"Merge tree of {n} components in {n_clusters} clusters"
    return Tree(
        n_components=n,
        n_clusters=n_clusters,
        picture=_draw(layout, shades, title),
        joined=sorted(below[n + made]) if n_clusters > 1 else [],
        joined_cost=float(cost[made]) if n_clusters > 1 else np.nan,
        divided=min(below[n + made - 1]) if made else None,
        divided_cost=float(cost[made - 1]) if made else np.nan,
    )


def _draw(tree: TreeLayout, shades: Mapping[str, str], title: str) -> Markup:
    bottom = TOP + ROW * len(tree.components)

    def across(cost: float) -> float:
        return LEFT + (cost / tree.end) ** 0.5 * (WIDTH - LEFT - RIGHT)

    def down(row: float) -> float:
        return TOP + ROW * (row + 0.5)

    parts = [label(LEFT - 8, TOP - 10, "component", "end")]
    parts.append(label(WIDTH - RIGHT + 12, TOP - 10, "cluster", "start"))
    for name, start, stop in tree.runs():
        share = tree.weights[start:stop].sum()
        box = (LEFT, TOP + ROW * start + 1.5, WIDTH - LEFT - RIGHT, ROW * (stop - start) - 3)
        band = '<rect class="own" x="{}" y="{}" width="{}" height="{}" style="{}"/>'
        parts.append(Markup(band).format(*map(rounded, box), f"fill:{shades.get(name, 'gray')}"))
        shown = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
        middle = down((start + stop - 1) / 2) + 4
        parts.append(
            label(WIDTH - RIGHT + 12, middle, f"{shown} ({100 * share:.1f}%)", "start", "owner")
        )
    last = -np.inf
    for tick in (x for x in TICKS if x <= tree.end):
        if across(tick) - last >= 30:  # their numbers must not touch
            last = across(tick)
            parts.append(label(last, bottom + 16, f"{tick:g}", "middle"))
    parts.append(label((LEFT + WIDTH - RIGHT) / 2, bottom + 38, AXIS, "middle", "name"))
    for row, (name, share) in enumerate(zip(tree.components, tree.weights, strict=True)):
        parts.append(label(LEFT - 8, down(row) + 4, f"{name} ({100 * share:.1f}%)", "end"))
    for cluster, x, y in tree.branches:
        color = "between" if cluster is None else "within"
        style = "" if cluster is None else f"stroke:{shades.get(cluster, 'gray')}"
        ends = [*map(across, x), *map(down, y)]
        line = '<line class="{}" style="{}" x1="{}" x2="{}" y1="{}" y2="{}">{}</line>'
        cost = Markup("<title>merged at {}</title>").format(f"{x[0]:.3g}") if x[0] == x[1] else ""
        parts.append(Markup(line).format(color, style, *map(rounded, ends), cost))
    if tree.cut is not None:
        ends = [across(tree.cut)] * 2 + [TOP - 4, bottom]
        mark = '<line class="mark" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        parts.append(Markup(mark).format(*map(rounded, ends)))
        heading = f"merged up to {tree.cut:.3g}"
        parts.append(label(across(tree.cut), TOP - 10, heading, "middle", "marked"))
    return picture(title, parts, WIDTH, bottom + BOTTOM)
