"""The merge tree of a page: branches where merges are paid for, and what the words say."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from tests.report.cells import add_tree, annotated
from tests.report.page import parse

from mixvi.report import write_report
from mixvi.report.run import find_run
from mixvi.report.tree import LEFT, RIGHT, WIDTH, describe_tree


def described(**options):
    adata = annotated(**options)
    tree = add_tree(adata)
    return describe_tree(adata, find_run(adata)), tree, adata


def lines(svg, kind):
    return [e for e in ET.fromstring(str(svg)).iter("line") if e.get("class") == kind]


def test_merges_are_where_they_are_paid_for():
    found, tree, _ = described()
    drawn = lines(found.picture, "within") + lines(found.picture, "between")
    upright = [float(e.get("x1")) for e in drawn if e.get("x1") == e.get("x2") and len(e)]
    heights = np.maximum.accumulate(tree.cost)
    end = max(1.05 * heights.max(), 2 * heights[5:7].mean())
    expected = LEFT + np.sqrt(heights / end) * (WIDTH - LEFT - RIGHT)
    np.testing.assert_allclose(sorted(upright), expected, atol=0.06)
    (mark,) = lines(found.picture, "mark")
    assert expected[5] < float(mark.get("x1")) < expected[6]


def test_colors_are_those_of_the_clusters_up_to_the_cut():
    found, _, adata = described()
    adata.uns["cgmdvae_colors"] = ["#ff0000", "#00ff00", "#0000ff"]
    picture = describe_tree(adata, find_run(adata)).picture
    strokes = {e.get("style") for e in lines(picture, "within")}
    assert strokes == {"stroke:#ff0000", "stroke:#00ff00", "stroke:#0000ff"}
    (mark,) = lines(picture, "mark")
    within = [float(e.get("x2")) for e in lines(picture, "within")]
    assert max(within) == float(mark.get("x1"))
    assert {e.get("style") for e in lines(picture, "between")} == {""}
    assert (found.n_components, found.n_clusters) == (9, 3)


def test_words_are_the_merges_beside_the_cut(tmp_path):
    found, tree, adata = described()
    heights = np.maximum.accumulate(tree.cost)
    assert found.joined_cost == pytest.approx(heights[6])
    assert found.divided_cost == pytest.approx(heights[5])
    clusters = dict(zip(range(9), adata.uns["cgmdvae"]["cluster_of_component"], strict=True))
    for cut, name in ((2, found.joined), (4, [found.divided])):
        groups = tree.cut(cut)
        for members in map(set, name):
            assert members
        if cut == 2:  # the two that one cluster fewer has together
            together = [{clusters[k] for k in np.flatnonzero(groups == g)} for g in (0, 1)]
            assert set(name) == max(together, key=len)
        else:  # the one that one cluster more has in two pieces
            owners = [{clusters[k] for k in np.flatnonzero(groups == g)} for g in range(4)]
            assert sum(owner == set(name) for owner in owners) == 2
    write_report(adata, tmp_path / "page.html")
    page = parse(tmp_path / "page.html")
    assert "9 components were fitted" in page.words["tree"]
    assert f"{found.joined[0]} and {found.joined[1]} would be one" in page.words["tree"]
    assert f"{found.divided} would be two" in page.words["tree"]
    assert "#tree" in {a["href"] for a in page.every("a")}


def test_one_cluster_and_one_for_every_component():
    adata = annotated(names=("all",))
    add_tree(adata)
    del adata.uns["cgmdvae"]["threshold"]
    found = describe_tree(adata, find_run(adata))
    assert found.joined == []
    assert found.divided == "all"
    assert not lines(found.picture, "mark")
    adata = annotated()
    add_tree(adata, per_cluster=1)
    found = describe_tree(adata, find_run(adata))
    assert found.divided is None
    assert len(found.joined) == 2


@pytest.mark.parametrize("missing", ["tree", "components", "weights", "cluster_of_component"])
def test_without_a_tree_there_is_no_section(missing, tmp_path):
    adata = annotated()
    add_tree(adata)
    del adata.uns["cgmdvae"][missing]
    write_report(adata, tmp_path / "page.html")
    page = parse(tmp_path / "page.html")
    assert "tree" not in page.ids
    assert "#tree" not in {a["href"] for a in page.every("a")}


def test_long_and_harmful_names_are_shortened_and_escaped():
    evil = "<script>alert('a very long name')</script>"
    found, *_ = described(names=(evil, "B", "NK"))
    words = "".join(ET.fromstring(str(found.picture)).itertext())
    assert re.search(r"<script>alert…", words)
    assert found.divided in {evil, "B", "NK"}
