"""The diagrams show the arrows that the user guide states, and no others."""

from __future__ import annotations

import re

import pytest

from mixvi.distributions import GaussianArrow, HiddenLayers, NormalLikelihood
from mixvi.stories import CGMDVAEStory, RMVEStory, plate_diagram, relations

from .small_module import GENES, LATENT, make_module, make_rmve_module


def above(story, part):
    return {name: set(above) for name, above in relations(story, part).parents.items()}


def parents(module, part, *, same_z=True):
    return above(CGMDVAEStory(module, same_z=same_z), part)


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


@pytest.mark.parametrize("form", [None, "mmd"])
@pytest.mark.parametrize("recognition", ["bayes", "network", "y_conditional"])
def test_model_of_rmve(recognition, form):
    story = RMVEStory(make_rmve_module(recognition, "tied", form))
    expected = {"c": set(), "depth": set(), "y": set(), "z": {"y"}, "x": {"z", "c", "depth"}}
    assert above(story, "model") == expected
    found = relations(story, "model")
    assert set(found.per_cell) == set(found.parents)
    assert set(found.given) == {"x", "c", "depth"}


@pytest.mark.parametrize(
    ("recognition", "expected"),
    [
        ("bayes", {"x": set(), "z": {"x"}, "y": {"z"}}),
        ("network", {"x": set(), "z": {"x"}, "y": {"x"}}),
        ("y_conditional", {"x": set(), "z": {"x", "y"}, "y": {"x"}}),
        ("standard", {"x": set(), "z": {"x"}}),
    ],
)
@pytest.mark.parametrize("conditioning", ["decoder", "partial"])
def test_guides_of_rmve(recognition, expected, conditioning):
    module = make_rmve_module(recognition, conditioning=conditioning)
    if conditioning == "partial":  # what is guessed from x is guessed from c, too
        expected = {name: a | {"c"} if "x" in a else a for name, a in expected.items()}
        expected["c"] = set()
    assert above(RMVEStory(module), "guide") == expected


def test_model_of_a_plain_vae():
    found = above(RMVEStory(make_rmve_module("standard")), "model")
    assert found == {"c": set(), "depth": set(), "z": set(), "x": {"z", "c", "depth"}}


def test_a_linear_model_has_a_diagram():
    module = make_rmve_module()
    module.encoder = HiddenLayers(GENES, 0, n_layers=0).double()
    module.z_posterior = GaussianArrow(GENES, LATENT).double()
    assert above(RMVEStory(module), "guide") == {"x": set(), "z": {"x"}, "y": {"z"}}


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
