"""Where the branches of a merge tree are, whoever draws them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Branch", "TreeLayout", "lay_out_tree"]


class Branch(NamedTuple):
    """A straight line, along one axis; ``cluster`` is ``None`` where it joins clusters."""

    cluster: str | None
    x: tuple[float, float]
    y: tuple[float, float]


@dataclass(frozen=True)
class TreeLayout:
    """Components in rows, merges at their cost.

    Attributes
    ----------
    components, clusters, weights
        Name, cluster and share of the component in every row, from the top.
    branches
        Lines from every node to where it is merged; x is a cost, y counts rows.
    cut
        Cost at which merging stopped, if it is stored.
    end
        Where the axis of costs ends.
    """

    components: list[str]
    clusters: list[str]
    weights: np.ndarray
    branches: list[Branch]
    cut: float | None
    end: float

    def runs(self) -> list[tuple[str, int, int]]:
        """Clusters from the top: name, first row, the row after the last."""
        found, start = [], 0
        for name, rows in groupby(self.clusters):
            stop = start + len(list(rows))
            found.append((name, start, stop))
            start = stop
        return found


def lay_out_tree(run: Mapping[str, Any]) -> TreeLayout:
    """Lay out the merge tree of a run, the heavier side of every merge on top.

    A merge that costs less than one before it is where that one is.

    Parameters
    ----------
    run
        ``uns[key]`` with ``tree``, ``components``, ``weights``, ``cluster_of_component`` and
        perhaps ``threshold``.
    """
    weights = np.asarray(run["weights"], dtype=float)
    owners = [str(name) for name in run["cluster_of_component"]]
    merges = np.asarray(run["tree"]["merges"], dtype=int).reshape(-1, 2)
    heights = np.maximum.accumulate(np.asarray(run["tree"]["cost"], dtype=float))
    cut = run.get("threshold")
    cut = None if cut is None else float(cut)
    order = _leaf_order(merges, weights)
    return TreeLayout(
        components=[str(run["components"][k]) for k in order],
        clusters=[owners[k] for k in order],
        weights=weights[order],
        branches=_branches(merges, heights, order, owners, np.inf if cut is None else cut),
        cut=cut,
        # twice the cut: room for the heading of the cut
        end=float(max(1.05 * heights.max(initial=1e-3), 2 * (cut or 0))),
    )


def _leaf_order(merges: np.ndarray, weights: np.ndarray) -> list[int]:
    """Leaves so that no branches cross, the heavier side of every merge first."""
    nodes = [[k] for k in range(len(weights))]
    for pair in merges:
        sides = sorted((nodes[k] for k in pair), key=lambda leaves: -weights[leaves].sum())
        nodes.append(sides[0] + sides[1])
    return nodes[-1]


def _branches(
    merges: np.ndarray, heights: np.ndarray, order: list[int], owners: list[str], cut: float
) -> list[Branch]:
    n = len(order)
    x = np.concatenate([np.zeros(n), heights]).tolist()
    y = np.concatenate([np.argsort(order), np.zeros(n - 1)]).tolist()
    owner: list[str | None] = [*owners]
    branches = []
    for node, (left, right) in enumerate(merges.tolist(), start=n):
        owner.append(owner[left] if owner[left] == owner[right] else None)
        y[node] = (y[left] + y[right]) / 2
        branches.append(Branch(owner[node], (x[node], x[node]), (y[left], y[right])))
        for child in (left, right):
            end = min(max(cut, x[child]), x[node])
            branches.append(Branch(owner[child], (x[child], end), (y[child], y[child])))
            branches.append(Branch(None, (end, x[node]), (y[child], y[child])))
    return [
        branch for branch in branches if branch.x[0] != branch.x[1] or branch.y[0] != branch.y[1]
    ]
