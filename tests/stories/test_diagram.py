"""The diagrams show the arrows that the user guide states, and no others."""

from __future__ import annotations

import re

import pytest

from mixvi.distributions import NormalLikelihood
from mixvi.stories import CGMDVAEStory, plate_diagram, relations

from .small_module import make_module


def parents(module, part, *, same_z=True):
    found = relations(CGMDVAEStory(module, same_z=same_z), part)
    return {name: set(above) for name, above in found.parents.items()}


def test_model():
    assert parents(make_module("collapsed", "decoder", 2), "model") == {
        "c": set(),
        "depth": set(),
        "d": set(),
        "w": set(),
        "y": {"d"},
        "z": {"w", "y"},
        "x": {"z", "c", "depth"},
    }


def test_guide():
    assert parents(make_module("network", "decoder", 2), "guide") == {
        "x": set(),
        "z": {"x"},
        "w": {"x"},
        "y": {"z"},
        "d": {"z"},
    }


def test_guide_with_another_draw():
    found = parents(make_module("collapsed", "decoder", 0), "guide", same_z=False)
    assert (found["y"], found["z_seen"]) == ({"z_seen"}, {"x"})


def test_full_conditioning():
    module = make_module("collapsed", "full", 2, learned_style=True)
    model, guide = parents(module, "model"), parents(module, "guide")
    assert (model["w"], model["z"], model["y"]) == ({"c"}, {"w", "y", "c"}, {"d"})
    assert (guide["z"], guide["w"], guide["y"]) == ({"x", "c"}, {"x", "c"}, {"z", "c"})


def test_no_style_no_dirichlet_no_depth():
    module = make_module(None, "decoder", 0, likelihood=NormalLikelihood)
    assert parents(module, "model") == {"c": set(), "y": set(), "z": {"y"}, "x": {"z", "c"}}


@pytest.mark.parametrize("dirichlet", ["collapsed", "global"])
@pytest.mark.parametrize("part", ["model", "guide"])
def test_only_the_global_weights_leave_the_plate(dirichlet, part):
    found = relations(CGMDVAEStory(make_module(dirichlet, "decoder", 2)), part)
    outside = set(found.parents) - set(found.per_cell)
    assert outside == ({"d"} if dirichlet == "global" else set())
    assert set(found.given) == ({"x", "c", "depth"} if part == "model" else {"x"})


def test_source_text():
    source = plate_diagram(CGMDVAEStory(make_module("global", "decoder", 2)))
    edges = set(re.findall(r"(\w+) -> (\w+);", source))
    assert edges == {
        ("d", "y"), ("y", "z"), ("w", "z"), ("z", "x"), ("c", "x"), ("depth", "x"),
    }  # fmt: skip
    assert source.index("d [label") < source.index("subgraph cluster_cells")
    assert re.search(r'x \[label="x", fillcolor=gray85\]', source)
    assert source.count("{") == source.count("}") == 2


def test_unknown_part():
    with pytest.raises(ValueError, match="expected part 'model' or 'guide', found 'both'"):
        plate_diagram(CGMDVAEStory(make_module()), "both")
