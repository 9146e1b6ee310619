"""Plate diagrams of the stories, read off their execution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import pyro
import torch
from pyro import distributions as dist
from pyro.infer.inspect import get_model_relations
from torch import Tensor

from .base import Story

__all__ = ["Relations", "plate_diagram", "relations"]

Part = Literal["model", "guide"]

N_CELLS = 2  # any number: every cell has the same arrows
LABELS = {"depth": "ℓ", "z_seen": "z′"}
HEADER = """\
digraph {
  rankdir=TB; nodesep=0.35; ranksep=0.4; bgcolor=white;
  node [shape=circle, width=0.55, fixedsize=true, fontname="Times-Italic", fontsize=16,
        style=filled, fillcolor=white];
  edge [arrowsize=0.7];"""


@dataclass(frozen=True)
class Relations:
    """The graph of a story.

    Attributes
    ----------
    parents
        What each variable depends on directly.
    given
        Variables that are not drawn.
    per_cell
        Variables inside the plate, one for every cell.
    """

    parents: dict[str, list[str]]
    given: list[str]
    per_cell: list[str]


def relations(story: Story, part: Part = "model") -> Relations:
    """Find which variable depends directly on which by running a story once.

    Parameters
    ----------
    story
        A story.
    part
        ``"model"`` or ``"guide"``.

    Returns
    -------
    Relations
        Variables have the names of Pyro's sites; the covariates are ``c`` and the depth of a cell
        is ``depth``, both only where something depends on them.

    Raises
    ------
    ValueError
        If ``part`` is unknown.
    """
    if part not in get_args(Part):
        raise ValueError(f"expected part 'model' or 'guide', found {part!r}; choose one of them")
    module = story.module
    like = next(module.parameters()).detach()
    inputs = {
        "x": like.new_ones(N_CELLS, module.encoder.n_in),
        "c": like.new_zeros(N_CELLS, len(module.covariates)),
        "depth": like.new_zeros(N_CELLS, 1),
    }
    found = get_model_relations(_told(story, part), tuple(inputs.values()))
    # a factor weighs parameters and is no variable
    parents = {
        name: above
        for name, above in found["sample_sample"].items()
        if found["sample_dist"][name] != "Unit"
    }
    used = {name for names in parents.values() for name in names}
    parents = {
        name: above for name, above in parents.items() if name in used or name not in ("c", "depth")
    }
    per_cell = {*inputs, *found["plate_sample"]["cells"]}
    return Relations(
        parents,
        given=[name for name in parents if name in inputs],
        per_cell=[name for name in parents if name in per_cell],
    )


def plate_diagram(story: Story, part: Part = "model") -> str:
    """Draw the plate diagram of a story in the DOT language of Graphviz.

    Given variables are gray, a box stands for "for every cell". The text needs no other program;
    ``dot -Tsvg`` makes a picture of it.

    Parameters
    ----------
    story, part
        As in :func:`relations`.

    Returns
    -------
    str
        Source text of a directed graph.

    Raises
    ------
    ValueError
        If ``part`` is unknown.

    Examples
    --------
    >>> print(plate_diagram(CGMDVAEStory(module)))  # doctest: +SKIP
    """
    graph = relations(story, part)
    lines = [HEADER]
    lines += [_node(name, graph) for name in graph.parents if name not in graph.per_cell]
    lines.append('  subgraph cluster_cells {\n    label="cells"; labelloc=b; labeljust=r;')
    lines += ["  " + _node(name, graph) for name in graph.per_cell]
    lines.append("  }")
    for name, parents in graph.parents.items():
        lines += [f"  {parent} -> {name};" for parent in parents]
    return "\n".join([*lines, "}", ""])


def _node(name: str, graph: Relations) -> str:
    fill = ", fillcolor=gray85" if name in graph.given else ""
    return f'  {name} [label="{LABELS.get(name, name)}"{fill}];'


def _told(story: Story, part: Part) -> Callable[[Tensor, Tensor, Tensor], None]:
    """Give the story its inputs as variables, so that their arrows are seen too."""

    def told(x: Tensor, c: Tensor, depth: Tensor) -> None:
        c = _given("c", c)
        if part == "model":
            story.model(x, c, _given("depth", depth))
        else:
            story.guide(_given("x", x), c, depth)

    return told


def _given(name: str, value: Tensor) -> Tensor:
    if not value.shape[-1]:
        return value
    anything = dist.Normal(torch.zeros_like(value), torch.ones_like(value))
    return pyro.sample(name, anything.to_event(2), obs=value)
