"""A linear truth is found, groups never leak, and a moved map gives the moved result."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from mixvi.space import Readout, fit_places, spatial_blocks
from mixvi.space.groups import group_folds

law = pytest.mark.law


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    groups = np.repeat([*"abcdef"], 50)
    z = rng.normal(size=(300, 5)) + rng.normal(size=(6, 5))[np.repeat(np.arange(6), 50)]
    places = z @ rng.normal(size=(5, 3)) + [10, -4, 100] + rng.normal(size=(300, 3)) * 0.5
    return z, places, groups


@law
def test_a_linear_truth_is_found(cells):
    z, _, groups = cells
    rng = np.random.default_rng(1)
    truth, shift = rng.normal(size=(5, 2)), np.array([30.0, -7.0])
    fit = fit_places(z, z @ truth + shift, groups)
    np.testing.assert_allclose(fit.readout.coef, truth, atol=1e-3)
    np.testing.assert_allclose(fit.predicted, z @ truth + shift, atol=1e-2)
    assert fit.r2 > 0.9999
    new = rng.normal(size=(20, 5))
    places, sd = fit.readout.predict(new)
    np.testing.assert_allclose(places, new @ truth + shift, atol=1e-2)
    assert sd.max() < 1e-2


@law
def test_without_a_relation_the_penalty_is_strong_and_nothing_is_explained(cells):
    z, _, groups = cells
    fit = fit_places(z, np.random.default_rng(2).normal(size=(300, 2)), groups)
    assert fit.penalty >= 1
    assert -0.2 < fit.r2 < 0.05


@law
def test_a_moved_map_gives_the_moved_result(cells):
    z, places, groups = cells
    rotation = ortho_group.rvs(3, random_state=0)
    before = fit_places(z, places, groups)
    after = fit_places(z, 7 * places @ rotation + [1000, 0, -3], groups)
    np.testing.assert_allclose(after.predicted, 7 * before.predicted @ rotation + [1000, 0, -3])
    assert (after.penalty, after.r2) == pytest.approx((before.penalty, before.r2))
    new = np.random.default_rng(3).normal(size=(10, 5))
    old_place, old_sd = before.readout.predict(new)
    place, sd = after.readout.predict(new)
    np.testing.assert_allclose(place, 7 * old_place @ rotation + [1000, 0, -3])
    # the error bars are a covariance, of which the trace is kept
    np.testing.assert_allclose(np.square(sd).sum(1), 49 * np.square(old_sd).sum(1))


@law
def test_latent_units_and_axes_do_not_matter(cells):
    z, places, groups = cells
    rotation = ortho_group.rvs(5, random_state=1)
    before, after = (fit_places(x, places, groups) for x in (z, 0.01 * z @ rotation + 5))
    np.testing.assert_allclose(after.predicted, before.predicted)
    np.testing.assert_allclose(
        after.readout.predict(0.01 * z @ rotation + 5)[1], before.readout.predict(z)[1]
    )


@law
@pytest.mark.parametrize("group", ["a", "e"])
def test_a_group_does_not_see_its_own_places(cells, group):
    z, places, groups = cells
    own = groups == group
    changed = np.where(own[:, None], 1e3 * np.sin(places), places)
    before, after = (fit_places(z, y, groups).predicted for y in (places, changed))
    np.testing.assert_allclose(after[own], before[own], atol=1e-6)
    assert np.abs(after[~own] - before[~own]).max() > 1


@law
def test_order_of_cells_and_names_of_groups_do_not_matter(cells):
    z, places, groups = cells
    order = np.random.default_rng(4).permutation(300)
    named = np.array([f"donor {ord('z') - ord(g)}" for g in groups])[order]
    before, after = fit_places(z, places, groups), fit_places(z[order], places[order], named)
    np.testing.assert_allclose(after.predicted, before.predicted[order])


@law
def test_error_bars_are_the_spread_of_left_out_predictions():
    rng = np.random.default_rng(5)
    z, groups = rng.normal(size=(60, 3)), np.repeat(np.arange(4), [10, 20, 20, 10])
    y = z[:, :2] + rng.normal(size=(60, 2))
    fit = fit_places(z, y, groups)
    new = rng.normal(size=(7, 3)) * 5
    places, sd = fit.readout.predict(new)
    square = np.zeros((7, 2))
    for f in range(4):
        inside = groups == f
        moved = new @ fit.readout.group_coef[f] + fit.readout.group_intercept[f]
        own = z[inside] @ fit.readout.group_coef[f] + fit.readout.group_intercept[f]
        np.testing.assert_allclose(own, fit.predicted[inside])
        drawn = moved[:, None] + (y[inside] - own)[None]
        square += np.square(drawn - places[:, None]).mean(1) / 4
    np.testing.assert_allclose(sd, np.sqrt(square))


@law
def test_error_bars_hold_for_groups_with_their_own_shift():
    # each donor is displaced: what counts is the scatter of donors, not that of cells
    rng = np.random.default_rng(6)
    truth = rng.normal(size=(4, 2))
    inside = []
    for _ in range(30):
        groups = np.repeat(np.arange(12), 20)
        z = rng.normal(size=(240, 4))
        y = z @ truth + rng.normal(size=(12, 2))[groups] + 0.3 * rng.normal(size=(240, 2))
        known = groups < 11
        places, sd = fit_places(z[known], y[known], groups[known]).readout.predict(z[~known])
        inside.append((np.abs(places - y[~known]) < 2 * sd).mean())
    assert 0.88 < np.mean(inside) < 0.995


def test_error_bars_grow_far_away(cells):
    z, places, groups = cells
    readout = fit_places(z, places, groups).readout
    near, far = (readout.predict(scale * z)[1].mean() for scale in (1, 1000))
    assert far > 3 * near


def test_readout_survives_as_a_dict(cells):
    z, places, groups = cells
    readout = fit_places(z, places, groups).readout
    again = Readout.from_dict(readout.to_dict())
    for a, b in zip(readout.predict(z), again.predict(z), strict=True):
        np.testing.assert_array_equal(a, b)
    assert repr(readout) == "Readout(5 dimensions → 3 coordinates, 6 groups)"
    with pytest.raises(ValueError, match="cells × 5 dimensions, found shape"):
        readout.predict(z[:, :3])


def test_many_groups_are_left_out_several_at_a_time():
    groups = np.random.default_rng(0).integers(0, 57, 1000)
    folds = group_folds(groups)
    assert folds.max() == 19
    assert all(len(np.unique(folds[groups == g])) == 1 for g in np.unique(groups))
    sizes = np.bincount(folds)
    assert sizes.max() < 1.5 * sizes.min()


def test_blocks_are_contiguous_and_move_with_the_map():
    places = np.random.default_rng(0).uniform(size=(500, 2))
    blocks = spatial_blocks(places, 8)
    assert len(np.unique(blocks)) == 8
    centers = np.stack([places[blocks == b].mean(0) for b in range(8)])
    distance = np.linalg.norm(places[:, None] - centers, axis=-1)
    assert (distance.argmin(1) == blocks).mean() > 0.97
    turned = spatial_blocks(100 * places @ ortho_group.rvs(2, random_state=0) - 4, 8)
    assert len(np.unique(np.stack([blocks, turned]), axis=1).T) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda z, y, g: (z, y, np.repeat(["a", "b"], 150)), "at least 3 groups"),
        (lambda z, y, g: (z, 0 * y, g), "at least two different places"),
        (lambda z, y, g: (z[:0], y[:0], g[:0]), "at least two different places"),
        (lambda z, y, g: (z, np.where(y > 8, np.nan, y), g), "finite numbers in `places`"),
        (lambda z, y, g: (np.where(z > 2, np.inf, z), y, g), "finite numbers in `z`"),
        (lambda z, y, g: (z[1:], y, g), "found shapes"),
    ],
)
def test_refuses(cells, change, message):
    with pytest.raises(ValueError, match=message):
        fit_places(*change(*cells))
