"""Lemma 3 as a merge rule."""

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, is_valid_linkage
from sklearn.metrics import adjusted_rand_score
from torch.distributions import Normal

from mixvi.priors import kernel_means, merge_tree

pytestmark = pytest.mark.law


def mixture(m=5, d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.rand(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    weights = draw(m) + 0.1
    return weights / weights.sum(), 6 * draw(m, d), 0.2 + draw(m, d)


def whitened_kernel(weights, loc, variance):
    pooled = weights @ variance
    return kernel_means(loc / pooled.sqrt(), variance / pooled, 4.0 * loc.shape[1])


def hsic(weights, kernel):
    own = kernel.diagonal()
    mmd = own[:, None] + own[None] - 2 * kernel
    return (weights[:, None] * weights[None] * mmd).sum() / 2


def merged(weights, kernel, groups):
    """Weights and inner products of groups of components, from nothing but their members."""
    mixing = torch.zeros(len(groups), len(weights), dtype=torch.float64)
    for row, members in zip(mixing, groups, strict=True):
        row[members] = weights[members] / weights[members].sum()
    return torch.stack([weights[members].sum() for members in groups]), mixing @ kernel @ mixing.T


def test_kernel_means_are_those_of_monte_carlo():
    _, loc, variance = mixture(3)
    torch.manual_seed(0)
    n = 200_000
    z = Normal(loc, variance.sqrt()).sample((n,))
    other = Normal(loc, variance.sqrt()).sample((n,))
    bandwidth = 5.0
    squared = (z[:, :, None] - other[:, None]).square().sum(-1)
    estimate = (-squared / (2 * bandwidth)).exp()
    error = estimate.std(0) / n**0.5
    assert ((estimate.mean(0) - kernel_means(loc, variance, bandwidth)).abs() < 5 * error).all()


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_every_merge_is_the_cheapest_one_and_loses_its_hsic(power):
    """Against all pairs of all partitions on the way, each from its members."""
    weights, loc, variance = mixture(9, seed=1)
    tree = merge_tree(weights, loc, variance, power=power)
    kernel = whitened_kernel(weights, loc, variance)
    total = hsic(weights, kernel)
    groups = {k: [k] for k in range(9)}
    for i, (left, right) in enumerate(tree.merges):
        cost = {}
        for k in groups:
            for other in groups:
                if k < other:
                    pi, inner = merged(weights, kernel, [groups[k], groups[other]])
                    share = pi.prod() / pi.sum()
                    distance = inner.trace() - 2 * inner[0, 1]
                    cost[k, other] = float(share**power * distance / total)
        assert (left, right) == min(cost, key=cost.get)
        assert tree.cost[i] == pytest.approx(cost[left, right], rel=1e-9)
        before = hsic(*merged(weights, kernel, list(groups.values())))
        groups[9 + i] = groups.pop(left) + groups.pop(right)
        after = hsic(*merged(weights, kernel, list(groups.values())))
        assert tree.loss[i] == pytest.approx(float((before - after) / total), rel=1e-9)
        assert tree.sizes[i] == pytest.approx(float(weights[groups[9 + i]].sum()))


@pytest.mark.parametrize("power", [0.5, 1.0])
@pytest.mark.parametrize("m", [2, 7, 30])
def test_all_merges_together_lose_all(m, power):
    tree = merge_tree(*mixture(m), power=power)
    assert tree.loss.sum() == pytest.approx(1, rel=1e-12)
    assert tree.sizes[-1] == pytest.approx(1)
    if power == 1:
        np.testing.assert_allclose(tree.cost, tree.loss, rtol=1e-12)


def test_halves_of_one_cluster_meet_first():
    weights, loc, variance = mixture(4)
    loc = torch.cat([loc * 3, loc[:1] * 3 + 0.01])
    variance = torch.cat([variance, variance[:1]])
    weights = torch.cat([weights, weights[:1]]) / (1 + weights[0])
    clusters = merge_tree(weights, loc, variance).cut(4)
    assert clusters[0] == clusters[4]
    assert len(np.unique(clusters)) == 4


def test_cuts_nest_count_and_are_ordered_by_mass():
    tree = merge_tree(*mixture(12))
    finer = np.arange(12)
    for n_clusters in range(12, 0, -1):
        clusters = tree.cut(n_clusters)
        mass = np.bincount(clusters, tree.weights, minlength=n_clusters)
        assert (np.diff(mass) <= 0).all()
        assert (mass > 0).all()
        assert len(mass) == n_clusters
        for group in range(finer.max() + 1):
            assert len(np.unique(clusters[finer == group])) == 1
        finer = clusters


@pytest.mark.parametrize("seed", range(5))
def test_linkage_is_one_to_scipy(seed):
    tree = merge_tree(*mixture(20, seed=seed))
    linkage = tree.linkage()
    assert is_valid_linkage(linkage)
    assert linkage[-1, 3] == 20
    assert (np.diff(linkage[:, 2]) >= 0).all()
    for n_clusters in (2, 5, 11):
        # scipy cuts by height, and cannot cut between equal heights
        if linkage[20 - n_clusters, 2] > linkage[19 - n_clusters, 2]:
            oracle = fcluster(linkage, n_clusters, criterion="maxclust")
            assert adjusted_rand_score(oracle, tree.cut(n_clusters)) == 1


def test_merging_stops_before_the_first_dear_merge():
    # one of these trees must have a merge that is cheaper than the one before it
    trees = [merge_tree(*mixture(20, seed=seed), power=0.2) for seed in range(20)]
    assert any((np.diff(tree.cost) < 0).any() for tree in trees)
    for tree in trees:
        for threshold in [0.0, *tree.cost, *(tree.cost * 1.001), np.inf]:
            n_clusters = 20
            for cost in tree.cost:
                if cost >= threshold:
                    break
                n_clusters -= 1
            assert tree.n_clusters(threshold) == n_clusters


def test_scale_of_the_space_and_of_the_weights_does_not_matter():
    weights, loc, variance = mixture(6)
    tree = merge_tree(weights, loc, variance)
    scale = torch.tensor([0.1, 3.0, 50.0], dtype=torch.float64)
    scaled = merge_tree(7 * weights, loc * scale + 2, variance * scale**2)
    np.testing.assert_array_equal(scaled.merges, tree.merges)
    np.testing.assert_allclose(scaled.cost, tree.cost)
    np.testing.assert_allclose(scaled.weights, tree.weights)


def test_permuting_components_permutes_clusters():
    weights, loc, variance = mixture(10)
    tree = merge_tree(weights, loc, variance)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    permuted = merge_tree(weights[order], loc[order], variance[order])
    np.testing.assert_allclose(permuted.cost, tree.cost, rtol=1e-9)
    np.testing.assert_allclose(permuted.sizes, tree.sizes, rtol=1e-9)
    for n_clusters in range(1, 11):
        np.testing.assert_array_equal(permuted.cut(n_clusters), tree.cut(n_clusters)[order])


def test_equal_components_cost_nothing():
    weights, loc, variance = mixture(4)
    tree = merge_tree(weights, loc[:1].repeat(4, 1), variance[:1].repeat(4, 1))
    assert (tree.cost == 0).all()
    assert (tree.loss == 0).all()
    assert tree.n_clusters(1e-9) == 1
    assert is_valid_linkage(tree.linkage())


def test_one_component_is_a_tree():
    tree = merge_tree(*mixture(1))
    assert tree.merges.shape == (0, 2)
    assert tree.linkage().shape == (0, 4)
    assert tree.cut(1).tolist() == [0]
    assert tree.n_clusters(0.15) == 1


@pytest.mark.parametrize("n_clusters", [0, 4])
def test_clusters_beyond_the_components_are_an_error(n_clusters):
    with pytest.raises(ValueError, match=f"between 1 and the 3 components, found {n_clusters}"):
        merge_tree(*mixture(3)).cut(n_clusters)


@pytest.mark.parametrize("bad", [0.0, -0.1, float("nan")])
def test_components_without_mass_are_an_error(bad):
    weights, loc, variance = mixture(3)
    weights[1] = bad
    with pytest.raises(ValueError, match="positive weights"):
        merge_tree(weights, loc, variance)


def test_moments_that_are_none_are_an_error():
    weights, loc, variance = mixture(3)
    with pytest.raises(ValueError, match="finite means"):
        merge_tree(weights, loc * torch.nan, variance)
