import numpy as np
import pytest
import torch
from scipy import special

from mixvi.distributions.log_gamma import (
    SMALL,
    gamma_functions_near,
    log_factorial,
    log_rising_factorial,
)

pytestmark = pytest.mark.law

# none, at the border of the table, beyond it, and not whole
COUNTS = torch.tensor([0, 1, 2, 7, SMALL, SMALL + 1, 1e3, 1e6, 0.5, 2.75], dtype=torch.float64)
THETA = torch.tensor([1e-4, 0.3, 1.0, 40.0, 1e4], dtype=torch.float64)


@pytest.fixture
def entries():
    columns = torch.arange(len(THETA)).repeat_interleave(len(COUNTS))
    return columns, COUNTS.repeat(len(THETA))


def test_log_factorial():
    torch.testing.assert_close(
        log_factorial(COUNTS), torch.from_numpy(special.gammaln(COUNTS.numpy() + 1))
    )


def test_log_rising_factorial_and_its_gradient(entries):
    columns, counts = entries
    theta = THETA.clone().requires_grad_()
    value = log_rising_factorial(theta, columns, counts)
    expected = torch.lgamma(counts + THETA[columns]) - torch.lgamma(THETA[columns])
    torch.testing.assert_close(value.detach(), expected, rtol=1e-9, atol=1e-9)
    weights = torch.rand(len(counts), dtype=torch.float64)
    (gradient,) = torch.autograd.grad(value @ weights, theta)
    of_entry = torch.digamma(counts + THETA[columns]) - torch.digamma(THETA[columns])
    expected = torch.zeros_like(THETA).index_add(0, columns, weights * of_entry)
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-9)


def test_single_precision_loses_nothing_where_theta_is_large(entries):
    columns, counts = entries
    small = counts <= SMALL
    value = log_rising_factorial(THETA.float(), columns, counts.float())[small]
    expected = (torch.lgamma(counts + THETA[columns]) - torch.lgamma(THETA[columns]))[small]
    torch.testing.assert_close(value.double(), expected, rtol=1e-3, atol=1e-5)


def test_without_entries():
    none = torch.zeros(0)
    assert log_rising_factorial(THETA, none.long(), none).shape == (0,)
    assert log_factorial(none).shape == (0,)


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
