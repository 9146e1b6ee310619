"""Pictures of a mapping: novelty, and query cells on their reference."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from tests.pl.annotated import annotated

from mixvi.pl import novelty, reference_query


def test_novelty_of_a_run():
    adata = annotated()
    del adata.obs["cgmdvae_origin"]
    axis = novelty(adata, n_bins=20)
    values = adata.obs["cgmdvae_novelty"].to_numpy()
    edges = np.r_[[bar.get_x() for bar in axis.patches], values.max()]
    heights = [bar.get_height() for bar in axis.patches]
    inside = values.clip(edges[0], edges[-1])
    np.testing.assert_allclose(heights, np.histogram(inside, edges)[0] / len(values), atol=1e-12)
    assert sum(heights) == pytest.approx(1)
    assert axis.lines[0].get_xdata()[0] == 13
    share = (values > 13).mean()
    assert axis.get_title() == f"{share:.1%} may be new, 5% by chance"


def test_novelty_of_reference_and_query():
    adata = annotated()
    adata.uns["cgmdvae"] = {"mode": "frozen", "threshold": 11.0}
    axis = novelty(adata)
    texts = [text.get_text() for text in axis.get_legend().get_texts()]
    is_query = adata.obs["cgmdvae_origin"] == "query"
    assert texts == [f"reference ({(~is_query).sum()})", f"query ({is_query.sum()})"]
    share = (adata.obs["cgmdvae_novelty"][is_query] > 11).mean()
    assert axis.get_title() == f"{share:.1%} may be new"


def test_query_is_drawn_on_the_reference():
    adata = annotated()
    axis = reference_query(adata, key="cgmdvae")
    is_query = (adata.obs["cgmdvae_origin"] == "query").to_numpy()
    behind, front, rings = axis.collections
    points = adata.obsm["X_umap"]

    def same(drawn, expected):
        np.testing.assert_allclose(np.sort(drawn.get_offsets(), 0), np.sort(expected, 0))

    same(behind, points[~is_query])
    same(front, points[is_query])
    same(rings, points[is_query & adata.obs["cgmdvae_novel"].to_numpy()])
    assert {to_hex(color) for color in behind.get_facecolors()} == {"#d3d3d3"}
    by_place = {tuple(np.round(p, 6)): c for p, c in zip(points, adata.obs["cgmdvae"], strict=True)}
    shades = {"T": "#ff0000", "B": "#00ff00", "NK": "#0000ff"}
    for point, color in zip(front.get_offsets(), front.get_facecolors(), strict=True):
        assert to_hex(color) == shades[by_place[tuple(np.round(point, 6))]]
    assert "40 query cells on 80" in axis.get_title()


def test_refuses_a_result_without_origin():
    adata = annotated()
    del adata.obs["cgmdvae_origin"]
    with pytest.raises(KeyError, match="'cgmdvae_origin'"):
        reference_query(adata, key="cgmdvae")
