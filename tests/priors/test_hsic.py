"""Dependence from kernel matrices, against loops and known cases."""

import pytest
import torch

from mixvi.priors import hsic

pytestmark = pytest.mark.law


def gaussian(x):
    return (-torch.cdist(x, x).square() / 2).exp()


def draws(n, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def by_loops(k, other):
    """The V-statistic of the definition: E kl + E k E l − 2 E (E k)(E l)."""
    n = len(k)
    each, ends = range(n), [(i, j) for i in range(n) for j in range(n)]
    both = sum(k[i][j] * other[i][j] for i, j in ends) / n**2
    apart = sum(k[i][j] for i, j in ends) / n**2 * sum(other[i][j] for i, j in ends) / n**2
    cross = sum(k[i][j] * other[i][m] for i in each for j in each for m in each) / n**3
    return both + apart - 2 * cross


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_statistic_of_the_definition(seed):
    x, y = draws(8, 2, seed), draws(8, 3, seed + 10)
    k, other = gaussian(x), y @ y.T
    assert hsic(k, other).item() == pytest.approx(by_loops(k.tolist(), other.tolist()), rel=1e-10)


@pytest.mark.parametrize("seed", [0, 1])
def test_is_the_trace(seed):
    n = 20
    k, other = gaussian(draws(n, 2, seed)), gaussian(draws(n, 2, seed + 10))
    h = torch.eye(n, dtype=torch.float64) - 1 / n
    torch.testing.assert_close(hsic(k, other), torch.trace(k @ h @ other @ h) / n**2)
    torch.testing.assert_close(hsic(k, other), hsic(other, k))


def test_linear_kernels_give_the_cross_covariance():
    x, y = draws(30, 2), draws(30, 3, 1)
    y[:, 0] += x[:, 0]
    covariance = (x - x.mean(0)).T @ (y - y.mean(0)) / 30
    torch.testing.assert_close(hsic(x @ x.T, y @ y.T), covariance.square().sum())


def test_constant_is_independent_of_everything():
    k = gaussian(draws(20, 2))
    assert hsic(k, torch.ones_like(k)).abs() < 1e-15
    assert hsic(torch.ones_like(k), k).abs() < 1e-15


def test_dependence_without_correlation_is_seen():
    x = draws(300, 1)
    dependent = hsic(gaussian(x), gaussian(x.square()))
    shuffled = x[torch.randperm(300, generator=torch.Generator().manual_seed(0))]
    assert 0 <= hsic(gaussian(x), gaussian(shuffled.square())) < dependent / 5
