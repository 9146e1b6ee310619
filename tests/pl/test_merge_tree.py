"""The merge tree: where branches lie, whose color they have, and what survives a file."""

from dataclasses import asdict

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex

from mixvi.pl import merge_tree
from mixvi.priors import merge_tree as merge_components

SHADES = ["#ff0000", "#00ff00", "#0000ff"]


def annotated(n_components=8, threshold=None, n_clusters=3):
    rng = np.random.default_rng(0)
    place = rng.normal(0, 6, (3, 4))[np.arange(n_components) % 3]
    tree = merge_components(
        torch.as_tensor(rng.dirichlet(np.full(n_components, 3.0))),
        torch.as_tensor(place + rng.normal(0, 0.5, place.shape)),
        torch.full(place.shape, 0.5, dtype=torch.float64),
    )
    names = np.array(["T", "B", "NK"])
    clusters = names[tree.cut(n_clusters)]
    obs = pd.DataFrame({"cgmdvae": pd.Categorical(clusters, categories=names)})
    adata = ad.AnnData(obs=obs.set_index(np.arange(n_components).astype(str)))
    adata.uns["cgmdvae_colors"] = SHADES
    adata.uns["cgmdvae"] = {
        "tree": asdict(tree),
        "components": np.array([f"c{k}" for k in range(n_components)], dtype=object),
        "weights": tree.weights,
        "cluster_of_component": clusters.astype(object),
    }
    if threshold is not None:
        adata.uns["cgmdvae"]["threshold"] = threshold
    return adata, tree


def branches(axis):
    """Segments with a length, and their colors."""
    lines = axis.collections[0]
    drawn = zip(lines.get_segments(), lines.get_colors(), strict=True)
    return [(s, to_hex(color)) for s, color in drawn if not np.allclose(s[0], s[1])]


def test_every_merge_is_where_it_is_paid_for():
    adata, tree = annotated()
    before = adata.copy()
    axis = merge_tree(adata)
    found = [s[0][0] for s, _ in branches(axis) if s[0][0] == s[1][0]]
    np.testing.assert_allclose(found, np.maximum.accumulate(tree.cost))
    assert axis.get_xlim()[1] > tree.cost.max()
    assert list(adata.uns["cgmdvae"]) == list(before.uns["cgmdvae"])


def test_branches_do_not_cross():
    axis = merge_tree(annotated()[0])
    upright = [s for s, _ in branches(axis) if s[0][0] == s[1][0]]
    flat = [s for s, _ in branches(axis) if s[0][1] == s[1][1]]
    for (x, low), (_, high) in (sorted(map(tuple, s)) for s in upright):
        for (start, y), (end, _) in (sorted(map(tuple, s)) for s in flat):
            assert not (start < x < end and low < y < high)


def test_leaves_have_names_and_shares():
    adata, tree = annotated()
    axis = merge_tree(adata)
    leaves = [text.get_text() for text in axis.get_yticklabels()]
    assert sorted(leaves) == [f"c{k} ({100 * tree.weights[k]:.1f}%)" for k in range(8)]
    clusters = adata.uns["cgmdvae"]["cluster_of_component"]
    row = {leaf.split()[0]: y for y, leaf in enumerate(leaves)}
    written = {text.get_text().split()[0]: text for text in axis.texts}
    for name in ("T", "B", "NK"):
        members = [k for k in range(8) if clusters[k] == name]
        # the name stands beside the middle of its leaves, with their share
        assert written[name].xy[1] == np.mean([row[f"c{k}"] for k in members])
        assert f"({100 * tree.weights[members].sum():.1f}%)" in written[name].get_text()


def test_branches_have_the_color_of_their_cluster_up_to_the_cut():
    _, tree = annotated()
    threshold = float(tree.cost[-3] + tree.cost[-2]) / 2
    adata, _ = annotated(threshold=threshold)
    axis = merge_tree(adata)
    shades = dict(zip(["T", "B", "NK"], SHADES, strict=True))
    clusters = adata.uns["cgmdvae"]["cluster_of_component"]
    leaves = [shades[clusters[int(t.get_text()[1])]] for t in axis.get_yticklabels()]
    for segment, color in branches(axis):
        if segment[:, 0].max() <= threshold:
            rows = {leaves[int(np.floor(y))] for y in segment[:, 1]}
            assert rows == {color}
        else:
            assert segment[:, 0].min() >= threshold
            assert color not in SHADES
    dashed = [line for line in axis.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in dashed] == [threshold]


def test_without_a_threshold_there_is_no_line():
    axis = merge_tree(annotated()[0])
    assert not [line for line in axis.lines if line.get_linestyle() == "--"]
    assert {color for _, color in branches(axis)} > set(SHADES)


def test_survives_a_file(tmp_path):
    adata, _ = annotated(threshold=0.15)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    again = ad.read_h5ad(tmp_path / "cells.h5ad")
    first, second = merge_tree(adata), merge_tree(again)
    for (a, color), (b, other) in zip(branches(first), branches(second), strict=True):
        np.testing.assert_array_equal(a, b)
        assert color == other
    texts = [[text.get_text() for text in axis.texts] for axis in (first, second)]
    assert texts[0] == texts[1]


def test_one_component_and_given_axes():
    _, axis = plt.subplots()
    assert merge_tree(annotated(1, 0.15, 1)[0], ax=axis) is axis
    assert [text.get_text() for text in axis.get_yticklabels()] == ["c0 (100.0%)"]
    axis.figure.draw_without_rendering()


def test_cluster_without_cells_is_drawn():
    adata, _ = annotated()
    adata.obs["cgmdvae"] = pd.Categorical(["T", "B"] * 4)
    texts = [text.get_text() for text in merge_tree(adata).texts]
    assert any(text.startswith("NK") for text in texts)


@pytest.mark.parametrize("missing", ["tree", "components", "weights", "cluster_of_component"])
def test_refuses_a_run_without_a_tree(missing):
    adata, _ = annotated()
    del adata.uns["cgmdvae"][missing]
    with pytest.raises(KeyError, match=f"'{missing}' in adata.uns\\['cgmdvae'\\]"):
        merge_tree(adata)


def test_refuses_a_key_that_is_not_there():
    with pytest.raises(KeyError, match=r"adata.uns\['rmve'\], found nothing"):
        merge_tree(annotated()[0], key="rmve")
