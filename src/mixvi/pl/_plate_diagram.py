"""Plate diagrams, without Graphviz."""

from collections.abc import Mapping, Sequence

import igraph
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from mixvi.pl._scatter import new_axes

__all__ = ["plate_diagram"]

RADIUS = 0.27
CLEAR = 1.2 * RADIUS  # of the middle of a variable that an arrow passes
BENDS = (0.0, 0.25, -0.25, 0.45, -0.45, 0.7, -0.7)
LABELS = {"depth": "ℓ", "z_seen": "z′"}


def plate_diagram(
    parents: Mapping[str, Sequence[str]],
    *,
    given: Sequence[str] = (),
    per_cell: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw which variable of a model depends directly on which.

    Given variables are gray; the box stands for "for every cell".
    :func:`mixvi.stories.relations` reads the three arguments off a story:
    ``found = relations(story)``, then ``plate_diagram(found.parents, given=found.given,
    per_cell=found.per_cell)``.

    Parameters
    ----------
    parents
        What each variable depends on directly.
    given
        Variables that are not drawn from a distribution.
    per_cell
        Variables inside the plate; by default all.
    ax
        Axes to draw on; ``None`` makes a figure.

    Returns
    -------
    The axes.

    Raises
    ------
    ValueError
        If a parent is no variable, or the arrows run in a circle.
    """
    names = list(parents)
    edges = [(above, name) for name, those in parents.items() for above in those]
    unknown = sorted({above for above, _ in edges} - set(names))
    if unknown:
        raise ValueError(
            f"expected every parent to be a variable, found {unknown} that are none; add them"
        )
    graph = igraph.Graph(
        len(names), [(names.index(a), names.index(b)) for a, b in edges], directed=True
    )
    if not graph.is_dag():
        raise ValueError("expected arrows that run one way, found a circle; check the parents")
    places = dict(zip(names, _places(graph), strict=True))
    xs, ys = zip(*places.values(), strict=True)
    ax = new_axes(ax, (1.4 + max(xs) - min(xs), 1.6 + 0.9 * (max(ys) - min(ys))))
    nodes = {}
    for name, place in places.items():
        color = "0.85" if name in given else "white"
        node = Circle(place, RADIUS, facecolor=color, edgecolor="black", linewidth=1.1, zorder=3)
        nodes[name] = ax.add_patch(node)
        ax.text(*place, LABELS.get(name, name), ha="center", va="center", style="italic", size=13)
    for above, name in edges:
        arrow = FancyArrowPatch(
            places[above],
            places[name],
            patchA=nodes[above],
            patchB=nodes[name],
            arrowstyle="-|>",
            mutation_scale=12,
            shrinkA=0,
            shrinkB=0,
            color="0.25",
            connectionstyle=f"arc3,rad={_bend(places, above, name)}",
        )
        ax.add_patch(arrow)
    inside = [places[name] for name in (names if per_cell is None else per_cell)]
    if inside:
        _plate(ax, inside)
    ax.set_aspect("equal")
    ax.autoscale_view()
    ax.margins(0.06)
    ax.set_axis_off()
    return ax


def _places(graph: igraph.Graph) -> list[tuple[float, float]]:
    """Layers from the top, so that every arrow runs down."""
    layout = graph.layout_sugiyama(maxiter=200)
    return [(float(x), -float(y)) for x, y in layout.coords[: graph.vcount()]]


def _bend(places: Mapping[str, tuple[float, float]], above: str, name: str) -> float:
    """Bend an arrow no more than it takes to keep clear of the other variables."""
    start, end = np.array(places[above]), np.array(places[name])
    others = np.array([places[other] for other in places if other not in (above, name)])
    if not len(others):
        return 0.0
    (dx, dy), t = end - start, np.linspace(0, 1, 30)[:, None]
    clear = {}
    for bend in BENDS:
        control = (start + end) / 2 + bend * np.array([dy, -dx])  # as matplotlib's arc3 has it
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
        clear[bend] = float(np.linalg.norm(curve[:, None] - others, axis=-1).min())
    return next((bend for bend in BENDS if clear[bend] > CLEAR), max(BENDS, key=clear.__getitem__))


def _plate(axis: Axes, inside: Sequence[tuple[float, float]]) -> None:
    xs, ys = zip(*inside, strict=True)
    pad = RADIUS + 0.17
    left, low = min(xs) - pad, min(ys) - pad - 0.16
    width, height = max(xs) + pad - left, max(ys) + pad - low
    axis.add_patch(
        FancyBboxPatch(
            (left, low), width, height, boxstyle="round,pad=0,rounding_size=0.12",
            facecolor="none", edgecolor="0.4", linewidth=1,
        )
    )  # fmt: skip
    axis.text(left + width - 0.07, low + 0.05, "cells", ha="right", va="bottom", size=9)
