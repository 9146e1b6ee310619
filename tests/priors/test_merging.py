"""Lemma 3 as a merge rule."""

import pytest
import torch
from torch.distributions import Normal

from mixvi.priors import kernel_means, merge_components

pytestmark = pytest.mark.law


def mixture(m=5, d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.rand(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    weights = draw(m) + 0.1
    return weights / weights.sum(), 6 * draw(m, d), 0.2 + draw(m, d)


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


def hsic(weights, kernel):
    own = kernel.diagonal()
    mmd = own[:, None] + own[None] - 2 * kernel
    return (weights[:, None] * weights[None] * mmd).sum() / 2


def test_cost_of_a_merge_is_the_hsic_it_loses():
    weights, loc, variance = mixture(4)
    kernel = kernel_means(loc, variance, 4.0)
    before = hsic(weights, kernel)
    for k, other in [(0, 1), (2, 3)]:
        rest = [i for i in range(4) if i not in (k, other)]
        both = weights[[k, other]] / weights[[k, other]].sum()
        mixing = torch.zeros(3, 4, dtype=torch.float64)
        mixing[0, [k, other]] = both
        mixing[1, rest[0]] = mixing[2, rest[1]] = 1
        merged = torch.stack([weights[[k, other]].sum(), *weights[rest]])
        after = hsic(merged, mixing @ kernel @ mixing.T)
        distance = kernel[k, k] + kernel[other, other] - 2 * kernel[k, other]
        lost = weights[k] * weights[other] / (weights[k] + weights[other]) * distance
        torch.testing.assert_close(before - after, lost)


def test_halves_of_one_cluster_meet_first():
    weights, loc, variance = mixture(4)
    loc = torch.cat([loc * 3, loc[:1] * 3 + 0.01])
    variance = torch.cat([variance, variance[:1]])
    weights = torch.cat([weights, weights[:1]]) / (1 + weights[0])
    clusters = merge_components(weights, loc, variance, 4)
    assert clusters[0] == clusters[4]
    assert len(clusters.unique()) == 4


@pytest.mark.parametrize("n_clusters", [1, 3, 5])
def test_merges_nest_and_count(n_clusters):
    weights, loc, variance = mixture(5)
    clusters = merge_components(weights, loc, variance, n_clusters)
    assert sorted(clusters.unique().tolist()) == list(range(n_clusters))
    finer = merge_components(weights, loc, variance, min(5, n_clusters + 1))
    for group in finer.unique():
        assert len(clusters[finer == group].unique()) == 1


def test_scale_of_the_space_does_not_matter():
    weights, loc, variance = mixture(6)
    scaled = merge_components(weights, loc * 10, variance * 100, 3)
    assert torch.equal(scaled, merge_components(weights, loc, variance, 3))


def test_more_clusters_than_components_is_an_error():
    weights, loc, variance = mixture(3)
    with pytest.raises(ValueError, match="between 1 and the 3 components, found 4"):
        merge_components(weights, loc, variance, 4)
