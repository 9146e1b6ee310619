import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from benchmarks import cuts


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(5), 60)
    return 6 * rng.normal(size=(5, 8))[truth] + rng.normal(size=(300, 8)), truth


def steps(resolution):
    """Number of clusters = floor of 10 × resolution, at least 1."""
    return np.arange(100) % max(int(10 * resolution), 1)


@pytest.mark.parametrize("wanted", [1, 2, 7, 40])
def test_matching_reaches_every_number_of_a_monotone_cut(wanted):
    clusters, resolution = cuts.match_resolution(steps, wanted)
    assert len(np.unique(clusters)) == wanted
    assert len(np.unique(steps(resolution))) == wanted


def test_matching_takes_the_nearest_number_if_the_wanted_one_is_passed_over():
    def even(resolution):
        return np.arange(100) % (4 if resolution < 0.7 else 9)

    assert len(np.unique(cuts.match_resolution(even, 5)[0])) == 4
    assert len(np.unique(cuts.match_resolution(even, 8)[0])) == 9


def test_matching_stops_at_the_first_hit():
    calls = []

    def cluster(resolution):
        calls.append(resolution)
        return np.arange(10) % 3

    cuts.match_resolution(cluster, 3)
    assert len(calls) == 1


def test_matching_refuses_no_steps():
    with pytest.raises(ValueError, match="expected max_steps"):
        cuts.match_resolution(steps, 3, max_steps=0)


def test_kmeans_and_matched_leiden_find_separate_blobs(blobs):
    z, truth = blobs
    graph = cuts.neighbor_graph(z, seed=0)
    matched, _ = cuts.match_resolution(lambda r: cuts.leiden(graph, r, seed=0), 5)
    assert adjusted_rand_score(truth, matched) == 1
    assert adjusted_rand_score(truth, cuts.kmeans(z, 5, seed=0)) == 1
    assert adjusted_rand_score(truth, cuts.gmm(z, 5, seed=0)) == 1


def test_mixture_sees_shape_where_kmeans_does_not():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 300)
    z = rng.normal(size=(600, 2)) * [2, 0.3] + truth[:, None] * np.array([4, 2])
    assert adjusted_rand_score(truth, cuts.gmm(z, 2, seed=0)) > 0.95
    assert adjusted_rand_score(truth, cuts.kmeans(z, 2, seed=0)) < 0.7


def test_leiden_repeats_itself_with_one_seed(blobs):
    first, again = (cuts.leiden(cuts.neighbor_graph(blobs[0], 3), 1.0, 3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
