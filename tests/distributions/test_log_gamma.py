import numpy as np
import pytest
import torch
from scipy import special

from mixvi.distributions.log_gamma import (
    SMALL,
    gamma_functions_near,
    log_binomial_coefficient,
)

pytestmark = pytest.mark.law

# none, at the border of the table, beyond it, and not whole
COUNTS = torch.tensor([0, 1, 2, 7, SMALL, SMALL + 1, 1e3, 1e6, 0.5, 2.75], dtype=torch.float64)
THETA = torch.tensor([1e-4, 0.3, 1.0, 40.0, 1e4], dtype=torch.float64)


@pytest.fixture
def entries():
    columns = torch.arange(len(THETA)).repeat_interleave(len(COUNTS))
    return columns, COUNTS.repeat(len(THETA))


def by_gamma_functions(theta, counts):
    return torch.lgamma(counts + theta) - torch.lgamma(theta) - torch.lgamma(counts + 1)


def test_log_binomial_coefficient_and_its_gradient(entries):
    columns, counts = entries
    theta = THETA.clone().requires_grad_()
    value = log_binomial_coefficient(theta, columns, counts)
    expected = by_gamma_functions(THETA[columns], counts)
    torch.testing.assert_close(value.detach(), expected, rtol=1e-9, atol=1e-9)
    weights = torch.rand(len(counts), dtype=torch.float64)
    (gradient,) = torch.autograd.grad(value @ weights, theta)
    of_entry = torch.digamma(counts + THETA[columns]) - torch.digamma(THETA[columns])
    expected = torch.zeros_like(THETA).index_add(0, columns, weights * of_entry)
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-9)


def test_binomial_coefficients_of_whole_numbers():
    theta = torch.arange(1, 30, dtype=torch.float64)
    columns = torch.arange(29).repeat_interleave(25)
    counts = torch.arange(25, dtype=torch.float64).repeat(29)
    expected = special.comb(counts.numpy() + theta[columns].numpy() - 1, counts.numpy())
    value = log_binomial_coefficient(theta, columns, counts)
    np.testing.assert_allclose(value.exp(), expected, rtol=1e-9)


def test_single_precision_loses_nothing_where_theta_is_large(entries):
    columns, counts = entries
    small = counts <= SMALL
    value = log_binomial_coefficient(THETA.float(), columns, counts.float())[small]
    expected = by_gamma_functions(THETA[columns], counts)[small]
    torch.testing.assert_close(value.double(), expected, rtol=1e-3, atol=1e-5)


def test_without_entries():
    none = torch.zeros(0)
    assert log_binomial_coefficient(THETA, none.long(), none).shape == (0,)


def test_what_is_no_count_is_not_looked_up():
    counts = torch.tensor([torch.nan, torch.inf, 1e30, 3.0])
    value = log_binomial_coefficient(THETA.float(), torch.arange(4), counts)
    assert not value[:2].isfinite().any()
    assert value[2:].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("alpha", [1e-3, 0.233, 1.0, 50.0])
def test_gamma_functions_near_responsibilities(alpha, dtype):
    q = torch.cat([torch.zeros(1), torch.logspace(-30, 0, 3001)]).to(dtype).reshape(2, -1)
    log_gamma, digamma = gamma_functions_near(alpha, q.requires_grad_())
    assert not log_gamma.requires_grad
    assert not digamma.requires_grad
    a = alpha + q.detach().double().numpy()
    tight = {"rtol": 20 * torch.finfo(dtype).eps, "atol": 20 * torch.finfo(dtype).eps}
    np.testing.assert_allclose(digamma, special.digamma(a), **tight)
    np.testing.assert_allclose(log_gamma, special.gammaln(a), **tight)
