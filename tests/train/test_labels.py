"""Where the components that are tied to labels start."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.datasets import make_blobs, make_moons
from sklearn.linear_model import LogisticRegression

from mixvi.train.labels import accounted, label_start, propagate, unclaimed
from mixvi.train.start import fit_start


def some_labels(truth, n_each, rng=0):
    labels = np.full(len(truth), -1)
    for k in np.unique(truth):
        own = np.flatnonzero(truth == k)
        labels[np.random.default_rng(rng + k).permutation(own)[:n_each]] = k
    return labels


def blobs(sizes=(300, 200, 100, 60), seed=3, std=1.0):
    z, truth = make_blobs(
        sizes, n_features=6, cluster_std=std, center_box=(-6, 6), random_state=seed
    )
    return z, truth


def start(z, labels, n_fine=16, **sizes):
    torch.manual_seed(0)
    return label_start(z, labels, fit_start(z, n_fine), **sizes)


@pytest.mark.law
def test_probabilities_of_labels():
    z, truth = blobs()
    labels = some_labels(truth, 2)
    probs = propagate(z, labels, 5)  # no cell has the last label
    np.testing.assert_allclose(probs.sum(1), 1)
    np.testing.assert_array_equal(probs[:, 4], 0)
    known = labels >= 0
    np.testing.assert_array_equal(probs[known], np.eye(5)[labels[known]])


@pytest.mark.law
def test_all_labels_are_taken_as_they_are():
    z, truth = blobs()
    np.testing.assert_array_equal(propagate(z, truth, 4), np.eye(4)[truth])


@pytest.mark.law
def test_one_label_is_everywhere():
    z, _ = blobs()
    labels = np.full(len(z), -1)
    labels[7] = 0
    np.testing.assert_allclose(propagate(z, labels, 1), 1)


def test_neighbors_correct_the_regression():
    """Two half moons with a few labels: no straight line tells them apart."""
    z, truth = make_moons(600, noise=0.05, random_state=0)
    z = z / 0.1
    labels = some_labels(truth, 3)
    known = labels >= 0
    found = propagate(z, labels, 2).argmax(1)
    across = LogisticRegression().fit(z[known], labels[known]).predict(z)
    assert (found == truth).mean() > (across == truth).mean() + 0.01


@pytest.mark.parametrize("n_each", [1, 3, 20])
def test_few_labels_start_their_clusters(n_each):
    z, truth = blobs()
    labels = some_labels(truth, n_each)
    weights = start(z, labels, n_labels=4, components_per_label=1, n_free=5)
    assert (weights[:, :4].argmax(1) == truth).mean() > 0.97
    assert weights[:, 4:].sum() < 1  # everything has its label


@pytest.mark.parametrize("n_wrong", [0, 1])
def test_cluster_without_a_label_starts_a_free_component(n_wrong):
    z, truth = blobs()
    labels = some_labels(truth, 40)
    labels[truth == 1] = -1
    labels[labels > 1] -= 1
    labels[np.flatnonzero(truth == 1)[:n_wrong]] = 0
    weights = start(z, labels, n_labels=3, components_per_label=1, n_free=5)
    of_free = weights[:, 3:].sum(1)
    assert of_free[truth == 1].mean() > 0.97
    assert of_free[truth != 1].mean() < 0.03


@pytest.mark.law
def test_share_of_unlabeled_cells_that_labels_account_for():
    """Where all cells mix the share is that of all cells, whatever is known of them."""
    rate, n_known, n_unknown, n_other = 0.3, 30, 70, 50
    known = np.repeat([1.0, 0.0, 0.0], [n_known, n_unknown, n_other])
    n = len(known)
    everywhere = sparse.csr_matrix(np.full((n, n), 1 / n))
    share = accounted(everywhere, known, np.full(n, rate))
    np.testing.assert_allclose(share, n_unknown / (n_unknown + n_other))
    # as many labels as expected account for all
    np.testing.assert_allclose(accounted(everywhere, known, np.full(n, n_known / n)), 1)


def test_small_type_beside_a_large_one():
    """Half of all cells have a label, and none of twenty at the edge of a type."""
    z, truth = blobs()
    labels = some_labels(truth, 400)
    rng = np.random.default_rng(0)
    labels[rng.random(len(z)) < 0.5] = -1
    direction = np.eye(6)[0]
    new = z[truth == 0].mean(0) + 5 * direction + 0.5 * rng.standard_normal((20, 6))
    cells, labels = np.concatenate([z, new]), np.append(labels, np.repeat(-1, 20))
    weights = start(cells, labels, n_labels=4, components_per_label=1, n_free=5)
    of_free = weights[:, 4:].sum(1)
    assert of_free[-20:].mean() > 0.9
    assert of_free[:-20].mean() < 0.02


def test_few_labels_among_many_cells():
    z, truth = blobs((4000, 3000, 2000, 1000))
    labels = some_labels(truth, 12)
    labels[truth == 1] = -1
    labels[labels > 1] -= 1
    weights = start(z, labels, n_labels=3, components_per_label=1, n_free=5)
    of_free = weights[:, 3:].sum(1)
    assert of_free[truth == 1].mean() > 0.97
    assert of_free[truth != 1].mean() < 0.03


@pytest.mark.law
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_chance_starts_no_free_component(share):
    """Of labels at random some region has fewest, and it is found for having so few."""
    z, truth = blobs((500, 300, 150, 60))
    n_found = 0
    for seed in range(30):
        known = np.random.default_rng(seed).random(len(z)) < share
        labels = np.where(known, truth, -1)
        torch.manual_seed(seed)
        n_found += unclaimed(z, labels, propagate(z, labels, 4), 5).shape[1] > 0
    assert n_found <= 3  # with as many regions as are found as places to be found in: 16


def test_one_label_each_is_no_evidence_of_another_type():
    z, truth = blobs()
    labels = some_labels(truth, 1)
    labels[truth == 1] = -1
    labels[labels > 1] -= 1
    weights = start(z, labels, n_labels=3, components_per_label=1, n_free=5)
    assert weights[:, 3:].sum() == 0


def test_no_more_free_components_than_there_are():
    z, truth = blobs((150,) * 6, seed=1)
    labels = some_labels(truth, 20)
    labels[truth > 1] = -1
    weights = start(z, labels, n_labels=2, components_per_label=1, n_free=2)
    assert weights.shape == (900, 4)
    np.testing.assert_allclose(weights.sum(1), 1)


@pytest.mark.law
@pytest.mark.parametrize("per_label", [1, 3])
def test_labeled_cells_are_in_components_of_their_label(per_label):
    z, truth = blobs()
    labels = some_labels(truth, 10)
    weights = start(z, labels, n_labels=4, components_per_label=per_label, n_free=3)
    np.testing.assert_allclose(weights.sum(1), 1)
    known = labels >= 0
    own = weights[known][:, : 4 * per_label].reshape(-1, 4, per_label).sum(-1)
    np.testing.assert_allclose(own, np.eye(4)[labels[known]])


def test_a_label_of_two_clouds_gets_a_component_for_each():
    z, cloud = blobs((200, 200, 200), seed=5)
    truth = cloud.clip(max=1)  # clouds 1 and 2 have one label
    weights = start(z, some_labels(truth, 30), n_labels=2, components_per_label=2, n_free=0)
    second = weights[:, 2:].argmax(1)
    assert len(set(second[cloud == 1])) == len(set(second[cloud == 2])) == 1
    assert second[cloud == 1][0] != second[cloud == 2][0]
