"""The null is uniform without a relation, small with one, and shuffles what it says."""

import numpy as np
import pytest
from scipy.stats import kstest

from mixvi.space import fit_places, permutation_null, spatial_blocks
from mixvi.space.null import _shuffled_cells, _shuffled_groups

law = pytest.mark.law


@law
@pytest.mark.parametrize("how", ["cells", "groups"])
def test_p_is_uniform_without_a_relation(how):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(100):
        groups = np.repeat(np.arange(6), 8)
        centers = rng.normal(size=(6, 2))[groups] if how == "groups" else 0
        z = rng.normal(size=(48, 3)) + 3 * rng.normal(size=(6, 3))[groups]
        y = centers + 0.1 * rng.normal(size=(48, 2))
        null = permutation_null(z, y, groups, how=how, n_permutations=39, rng=rng)
        found.append(null.p_value)
    assert kstest(np.array(found) - rng.uniform(0, 1 / 40, 100), "uniform").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.05) < 0.11


@law
def test_p_is_uniform_for_blocks_of_a_tissue():
    """Blocks differ in size and shape: exchanged, they do not make the same set of places."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(80):
        z, y = rng.normal(size=(120, 4)), rng.normal(size=(120, 2))
        null = permutation_null(z, y, spatial_blocks(y), how="groups", n_permutations=39, rng=rng)
        found.append(null.p_value)
    assert kstest(np.array(found) - rng.uniform(0, 1 / 40, 80), "uniform").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.05) < 0.12


@law
def test_what_says_nothing_never_beats_the_null():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(60, 2))
    null = permutation_null(np.zeros((60, 3)), y, spatial_blocks(y), n_permutations=20, rng=0)
    assert (null.skill, null.p_value) == (0, 1)


@law
def test_neighbors_that_are_alike_do_not_make_a_map():
    # z and y both vary smoothly over the tissue, without a relation: shuffled cells call that a
    # map much too often, shuffled blocks do not
    rng = np.random.default_rng(1)
    found = {"cells": [], "groups": []}
    for _ in range(25):
        groups = np.repeat(np.arange(8), 15)
        z = rng.normal(size=(8, 2))[groups] + 0.2 * rng.normal(size=(120, 2))
        y = rng.normal(size=(8, 1))[groups] + 0.2 * rng.normal(size=(120, 1))
        random = rng.integers(0, 4, 120)
        for how, own in {"cells": random, "groups": groups}.items():
            null = permutation_null(z, y, own, how=how, n_permutations=39, rng=rng)
            found[how].append(null.p_value)
    assert np.mean(np.array(found["cells"]) <= 0.05) > 0.5
    assert np.mean(np.array(found["groups"]) <= 0.05) < 0.2


@law
@pytest.mark.parametrize("how", ["cells", "groups"])
def test_a_relation_beats_the_null(how):
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(8), 20)
    z = rng.normal(size=(160, 3)) + rng.normal(size=(8, 3))[groups]
    y = z @ rng.normal(size=(3, 2)) + rng.normal(size=(160, 2)) * 0.2
    null = permutation_null(z, y, groups, how=how, n_permutations=199, rng=0)
    assert null.p_value == 1 / 200
    assert null.skill > max(0.9, null.null.max())
    predicted = fit_places(z, y, groups).predicted
    others = np.stack([y[groups != g].mean(0) for g in groups])
    expected = 1 - np.square(y - predicted).sum() / np.square(y - others).sum()
    assert null.skill == pytest.approx(expected)


@law
def test_few_organs_fit_anything():
    # three places, two coordinates and as many dimensions: no p below 1/6 can be expected
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(3), 50)
    y = np.array([[0.0, 0], [1, 0], [0, 1]])[groups]
    z = y @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(150, 6))
    assert permutation_null(z, y, groups, n_permutations=100, rng=0).p_value > 0.1


@law
def test_shuffled_groups_keep_what_is_within_and_the_centers():
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(5), [3, 4, 5, 6, 7])
    y = rng.normal(size=(25, 2))
    centers = np.stack([y[groups == g].mean(0) for g in range(5)])
    shuffled = next(_shuffled_groups(y, groups, centers, rng))
    moved = np.stack([shuffled[groups == g].mean(0) for g in range(5)])
    assert not np.allclose(moved, centers)
    np.testing.assert_allclose(np.sort(moved, 0), np.sort(centers, 0))
    np.testing.assert_allclose(shuffled - moved[groups], y - centers[groups], atol=1e-12)


@law
def test_shuffled_cells_stay_in_their_group_and_move_with_those_at_their_place():
    rng = np.random.default_rng(5)
    organs = np.tile(np.repeat(np.arange(4), 5), 3)  # three donors with the same four organs
    donors = np.repeat(np.arange(3), 20)
    y = rng.normal(size=(4, 2))[organs]
    shuffled = next(_shuffled_cells(y, donors, rng))
    for donor in range(3):
        inside = donors == donor
        for organ in range(4):
            assert len(np.unique(shuffled[inside & (organs == organ)], axis=0)) == 1
        np.testing.assert_allclose(
            np.unique(shuffled[inside], axis=0), np.unique(y[inside], axis=0)
        )
    single = rng.normal(size=(60, 2))
    shuffled = next(_shuffled_cells(single, donors, rng))
    np.testing.assert_allclose(np.sort(shuffled[donors == 1], 0), np.sort(single[donors == 1], 0))


def test_how_follows_the_places_and_seeds_hold():
    rng = np.random.default_rng(6)
    groups = np.repeat(np.arange(4), 25)
    z, y = rng.normal(size=(100, 2)), rng.normal(size=(100, 2))
    within = permutation_null(z, y, groups, n_permutations=5, rng=0)
    assert within.how == "cells"
    assert permutation_null(z, y + 9 * groups[:, None], groups, n_permutations=5).how == "groups"
    np.testing.assert_array_equal(
        within.null, permutation_null(z, y, groups, n_permutations=5, rng=0).null
    )


def test_in_parts_as_at_once(monkeypatch):
    rng = np.random.default_rng(7)
    arguments = rng.normal(size=(60, 2)), rng.normal(size=(60, 2)), np.repeat(np.arange(3), 20)
    whole = permutation_null(*arguments, n_permutations=7, rng=0)
    monkeypatch.setattr("mixvi.space.null._NUMBERS_AT_ONCE", 250)
    parts = permutation_null(*arguments, n_permutations=7, rng=0)
    np.testing.assert_allclose(parts.null, whole.null)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"how": "organs"}, "'auto', 'groups' or 'cells', found 'organs'"),
        ({"how": "cells"}, "one place in each; shuffle 'groups'"),
        ({"n_permutations": 0}, "at least 1 permutation"),
    ],
)
def test_refuses(options, message):
    groups = np.repeat(np.arange(3), 5)
    with pytest.raises(ValueError, match=message):
        permutation_null(np.ones((15, 1)), groups[:, None], groups, **options)
