import numpy as np
import pytest

from mixvi.model.shift import (
    Shift,
    choose_temperature,
    group_moments,
    measured_shift,
    shrink_shift,
    similarity_weights,
)

pytestmark = pytest.mark.law

RNG = np.random.default_rng(0)
DISTANCES = np.array([[0, 1, 4, 9], [1, 0, 1, 4], [4, 1, 0, 1], [9, 4, 1, 0]], dtype=float)


def test_moments_of_hard_groups_are_numpys():
    z, group = RNG.normal(5, 2, (40, 3)), np.repeat([0, 1, 2, 2], 10)
    n, mean, variance = group_moments(z, np.eye(4)[group])
    np.testing.assert_allclose(n, [10, 10, 20, 0])
    for k in range(3):
        np.testing.assert_allclose(mean[k], z[group == k].mean(0))
        np.testing.assert_allclose(variance[k], z[group == k].var(0))
    np.testing.assert_allclose(mean[3], z.mean(0))


def test_variance_of_the_shift_is_that_of_a_bootstrap_over_cells():
    z0, z1 = RNG.normal(0, 1, (80, 2)), RNG.normal(1, 2, (50, 2))
    one = [np.ones((len(z), 1)) for z in (z0, z1)]
    shift = measured_shift(group_moments(z0, one[0]), group_moments(z1, one[1]))
    draws = [
        z1[RNG.integers(50, size=50)].mean(0) - z0[RNG.integers(80, size=80)].mean(0)
        for _ in range(4000)
    ]
    np.testing.assert_allclose(shift.mean[0], z1.mean(0) - z0.mean(0))
    np.testing.assert_allclose(shift.variance[0], np.var(draws, 0), rtol=0.1)
    np.testing.assert_allclose(shift.cells, 1 / (1 / 80 + 1 / 50))


def test_clusters_with_strays_only_are_not_seen():
    moments = [(n, np.zeros((3, 2)), np.ones((3, 2))) for n in ([500, 500, 3], [450, 9, 50.0])]
    shift = measured_shift(*((np.array(n, float), m, v) for n, m, v in moments))
    assert list(shift.seen) == [True, False, False]
    assert np.isinf(shift.variance[1:]).all()


def test_weights_of_similarity():
    cells = np.array([10.0, 20, 0, 30])
    weights = similarity_weights(DISTANCES, cells, 0.7)
    expected = cells * np.exp(-DISTANCES / 0.7)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(weights, expected / expected.sum(1, keepdims=True))
    cold = similarity_weights(DISTANCES, cells, 1e-3)
    np.testing.assert_allclose(cold.argmax(1), [1, 0, 3, 1])
    hot = similarity_weights(DISTANCES, cells, 1e9)
    np.testing.assert_allclose(hot[2], cells / 60)
    assert not similarity_weights(DISTANCES, np.array([5.0, 0, 0, 0]), 1)[0].any()


def test_temperature_finds_neighbors_that_do_alike():
    """Effects that follow the profile ask for a low temperature, equal ones for none."""
    position = np.array([0.0, 0.1, 5, 5.1, 10, 10.1])
    distances = (position[:, None] - position) ** 2
    distances /= distances.mean()
    cells = np.full(6, 100.0)
    local = np.outer(position, np.ones(4))
    temperature, explained = choose_temperature(local, distances, cells)
    assert temperature < 0.3
    assert explained > 0.99
    # one effect with independent noise: the more are averaged the better
    alike = 1 + np.linalg.qr(RNG.normal(size=(30, 6)))[0].T
    assert choose_temperature(alike, distances, cells)[0] > 3
    assert np.isinf(choose_temperature(local, distances, np.array([9.0, 0, 0, 0, 0, 0]))[0])


def test_shrinkage_limits():
    mean = RNG.normal(0, 1, (4, 3))
    weights = similarity_weights(DISTANCES, np.full(4, 50.0), 1.0)
    similar = weights @ mean
    exact = shrink_shift(Shift(mean, np.full((4, 3), 1e-12), np.full(4, 50.0)), weights)
    np.testing.assert_allclose(exact.mean, mean, atol=1e-6)
    noisy = shrink_shift(Shift(mean, np.full((4, 3), 1e6), np.full(4, 50.0)), weights)
    np.testing.assert_allclose(noisy.mean, similar)
    between = shrink_shift(Shift(mean, np.full((4, 3), 0.1), np.full(4, 50.0)), weights)
    low, high = np.minimum(mean, similar), np.maximum(mean, similar)
    assert ((between.mean >= low - 1e-12) & (between.mean <= high + 1e-12)).all()


def test_unseen_cluster_takes_what_similar_ones_do():
    mean = RNG.normal(0, 1, (4, 3))
    mean[3] = 0
    variance = np.full((4, 3), 0.01)
    variance[3] = np.inf
    cells = np.array([50.0, 50, 50, 0])
    weights = similarity_weights(DISTANCES, cells, 1.0)
    shift = shrink_shift(Shift(mean, variance, cells), weights)
    np.testing.assert_allclose(shift.mean[3], weights[3] @ mean)
    assert (shift.variance[3] > shift.variance[:3].max(0)).all()
    assert np.isfinite(shift.variance).all()


def test_empirical_bayes_beats_both_ends():
    """Drawn from its own assumptions, the estimate has less error than either extreme."""
    n, noise, spread = 60, 0.5, 0.5
    truth = 2 + RNG.normal(0, spread**0.5, (n, 20))
    mean = truth + RNG.normal(0, noise**0.5, (n, 20))
    weights = similarity_weights(np.zeros((n, n)), np.ones(n), 1.0)
    shift = shrink_shift(Shift(mean, np.full((n, 20), noise), np.ones(n)), weights)
    errors = [((x - truth) ** 2).mean() for x in (shift.mean, mean, weights @ mean)]
    assert errors[0] < 0.7 * min(errors[1:])
    np.testing.assert_allclose(shift.variance.mean(), errors[0], rtol=0.15)


def test_one_measured_cluster_speaks_for_all():
    mean, variance = np.array([[1.0, 2], [0, 0]]), np.array([[0.1, 0.1], [np.inf, np.inf]])
    cells = np.array([9.0, 0])
    weights = similarity_weights(np.zeros((2, 2)), cells, np.inf)
    shift = shrink_shift(Shift(mean, variance, cells), weights)
    np.testing.assert_allclose(shift.mean, [[1, 2], [1, 2]])
    np.testing.assert_allclose(shift.variance, [[0.1, 0.1], [1, 4]])
