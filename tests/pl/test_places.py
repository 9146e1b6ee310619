"""The pictures of a map: what is drawn where, and what is refused."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection

from mixvi.datasets import organ_places
from mixvi.pl import body_map, place_errors
from mixvi.pl._outline import circumradius, draw_tissue


def mapped(n_dims=2, p=0.005, table=False) -> ad.AnnData:
    rng = np.random.default_rng(0)
    organs = organ_places().loc[["brain", "heart", "liver"]]
    group = np.repeat(organs.index.to_numpy(), 20)
    known = np.arange(60) % 20 < 15
    measured = organs.loc[group].to_numpy(copy=True) if table else rng.uniform(size=(60, n_dims))
    measured[~known] = np.nan
    cells = ad.AnnData(
        np.ones((60, 1)),
        obs=pd.DataFrame(
            {
                "place_group": pd.Categorical(np.where(known, group, None)),
                "type": pd.Categorical(np.tile(["a", "b"], 30)),
                "score": np.arange(60.0),
            },
            index=[f"cell{i}" for i in range(60)],
        ),
    )
    cells.obsm["X_place"] = rng.uniform(size=measured.shape)
    cells.obsm["place_sd"] = np.full(measured.shape, 0.1)
    cells.obsm["place_measured"] = measured
    cells.obsm["place_held_out"] = measured + 0.05
    cells.uns["place"] = {
        "p_value": p,
        "null": rng.normal(0, 0.1, 50),
        "skill": 0.7,
        "coordinates": np.array([*"xyz"][: measured.shape[1]]),
        "params": {"coords": "table" if table else "spatial"},
    }
    return cells


def drawn(axis, n):
    """Points of the scatter with n of them."""
    (found,) = [
        c.get_offsets()
        for c in axis.collections
        if isinstance(c, PathCollection) and len(c.get_offsets()) == n
    ]
    return np.asarray(found)


def rows(points):
    return np.array(sorted(map(tuple, points)))


def test_cells_lie_where_the_read_out_without_their_group_puts_them():
    cells = mapped()
    axis = body_map(cells)
    held_out = cells.obsm["place_held_out"]
    expected = np.where(np.isnan(held_out), cells.obsm["X_place"], held_out)
    np.testing.assert_allclose(rows(drawn(axis, 60)), rows(expected))
    assert axis.get_title() == "better than shuffled places (p = 0.005)"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == [
        *("brain", "heart", "liver", "NA")
    ]


def test_a_query_has_predictions_only():
    cells = mapped()
    for key in ("place_measured", "place_held_out"):
        del cells.obsm[key]
    del cells.obs["place_group"], cells.uns["place"]
    axis = body_map(cells)
    np.testing.assert_allclose(rows(drawn(axis, 60)), rows(cells.obsm["X_place"]))
    assert axis.get_title() == ""


def test_organs_are_named_on_the_body():
    cells = mapped(table=True)
    axis = body_map(cells)
    names = {text.get_text() for text in axis.texts}
    assert {"brain", "heart", "liver"} <= names
    rings = drawn(axis, 3)
    np.testing.assert_allclose(
        rows(rings), rows(organ_places().loc[["brain", "heart", "liver"]].to_numpy())
    )
    assert axis.get_ylim() == (-3, 173)


def test_organs_are_named_where_donors_are_left_out():
    cells = mapped(table=True)
    organ = cells.obs["organ"] = cells.obs["place_group"]
    cells.obs["place_group"] = np.where(np.arange(cells.n_obs) % 2, "donor_1", "donor_2")
    cells.uns["place"]["params"] |= {"obs_key": "organ", "groups_key": "donor"}
    axis = body_map(cells)
    names = [text.get_text() for text in axis.texts]
    assert set(organ.dropna()) <= set(names)
    assert not [name for name in names if name.startswith("donor")]
    shown = [text.get_text() for text in axis.get_legend().get_texts()]
    assert shown == ["donor_1", "donor_2"]  # the colors
    assert body_map(cells, color="organ").get_legend() is None  # the rings say it


def test_colors_are_those_of_uns_and_numbers_get_a_bar():
    cells = mapped()
    cells.uns["type_colors"] = ["#ff0000", "#00ff00"]
    axis = body_map(cells, color="type")
    (points,) = [c for c in axis.collections if isinstance(c, PathCollection)]
    assert {tuple(c[:3]) for c in points.get_facecolors()} == {(1, 0, 0), (0, 1, 0)}
    body_map(cells, color="score")
    assert plt.gcf().axes[-1].get_ylabel() == "score"


def test_other_views_outlines_and_axes():
    cells = mapped(3)
    _, given = plt.subplots()
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    axis = body_map(cells, dims=(0, 2), outline=square, ax=given)
    assert axis is given
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("x", "z")
    np.testing.assert_allclose(axis.patches[0].get_xy()[:4], square)


def test_a_map_that_means_nothing_says_so():
    cells = mapped(p=0.4)
    with pytest.warns(UserWarning, match=r"found p = 0.4; the picture may show nothing"):
        axis = body_map(cells)
    assert axis.get_title() == "no better than shuffled places (p = 0.4)"
    with pytest.warns(UserWarning, match="do not read it"):
        place_errors(cells)


@pytest.mark.parametrize(("n_dims", "panels"), [(1, 2), (2, 3), (3, 3)])
def test_errors_show_cells_with_a_place(n_dims, panels):
    cells = mapped(n_dims)
    figure = place_errors(cells)
    axes = [axis for axis in figure.axes if axis.get_xlabel()]
    assert len(axes) == panels
    assert len(drawn(axes[0], 45)) == 45
    known = ~np.isnan(cells.obsm["place_measured"]).any(1)
    if n_dims > 1:
        for axis, key in zip(axes, ("place_measured", "place_held_out"), strict=False):
            expected = cells.obsm[key][known][:, :2]
            np.testing.assert_allclose(rows(drawn(axis, 45)), rows(expected))
        assert sum(text.arrow_patch is not None for text in axes[1].texts) == 3
        assert "arrows: centers of groups" in axes[1].get_title()
        figure.canvas.draw()
        sizes = [axis.get_window_extent().size for axis in axes[:2]]
        np.testing.assert_allclose(*sizes, rtol=0.01)  # one scale, or distances do not compare
    assert sum(patch.get_height() for patch in axes[-1].patches) == 50
    assert axes[-1].get_legend().get_texts()[-1].get_text() == "this map, 0.70"


def test_zones_have_their_median_and_90_percent():
    cells = mapped(1)
    zones = np.tile([1.0, 2, 4], 20)
    known = ~np.isnan(cells.obsm["place_measured"][:, 0])
    cells.obsm["place_measured"][known, 0] = zones[known]
    cells.obsm["place_held_out"][known, 0] = np.random.default_rng(1).normal(size=known.sum())
    axis = place_errors(cells).axes[0]
    (bars,) = axis.containers
    expected = [
        np.quantile(cells.obsm["place_held_out"][known, 0][zones[known] == z], [0.05, 0.95])
        for z in (1, 2, 4)
    ]
    segments = bars.lines[2][0].get_segments()
    np.testing.assert_allclose([s[:, 1] for s in segments], expected)


def test_outline_is_the_hull_with_its_bay():
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, size=(3000, 2))
    points = points[(np.abs(points).max(1) > 0.5) | (points[:, 0] > 0)]  # a U
    _, axis = plt.subplots()
    draw_tissue(axis, points)
    filled = axis.collections[0].get_paths()
    triangles = np.array([path.vertices[:3] for path in filled])
    (x1, y1), (x2, y2) = ((triangles[:, i] - triangles[:, 0]).T for i in (1, 2))
    assert np.abs(x1 * y2 - x2 * y1).sum() / 2 == pytest.approx(3.5, rel=0.06)
    assert isinstance(axis.collections[1], LineCollection)


@pytest.mark.parametrize("points", [np.ones((5, 2)), np.array([[0, 0], [1, 1], [2, 2.0]])])
def test_what_has_no_region_has_no_outline(points):
    _, axis = plt.subplots()
    draw_tissue(axis, points)
    assert not axis.collections


@pytest.mark.law
def test_circumradius():
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, size=(50, 3))
    on_circle = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=-1) + [5, -2]
    np.testing.assert_allclose(circumradius(on_circle), 3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"key": "cortex"}, KeyError, "'X_cortex'.*run mixvi.tl.map_to_space"),
        ({"color": "organ"}, KeyError, "'organ' in adata.obs"),
        ({"dims": (0, 2)}, ValueError, "at least 3 coordinates, found 2"),
        ({"outline": "mouse"}, ValueError, "'body', 'tissue' or corners, found 'mouse'"),
    ],
)
def test_refuses(options, error, message):
    with pytest.raises(error, match=message):
        body_map(mapped(), **options)
