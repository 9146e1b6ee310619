import pytest
import torch
from scipy import stats
from scvi.distributions import NegativeBinomial as Reference

from mixvi.distributions import NegativeBinomial, Poisson

pytestmark = pytest.mark.law


@pytest.fixture(scope="module")
def cells():
    torch.manual_seed(0)
    mu = (2 * torch.randn(50, 30, dtype=torch.float64)).exp()
    theta = torch.randn(30, dtype=torch.float64).exp()
    x = torch.poisson(mu * torch.rand_like(mu) * 2)
    return mu, theta, x


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_prob_is_that_of_scvi(cells, dtype):
    mu, theta, x = (value.to(dtype) for value in cells)
    expected = Reference(mu=mu, theta=theta).log_prob(x)
    torch.testing.assert_close(
        NegativeBinomial(mu, theta).log_prob(x), expected, rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(
        NegativeBinomial(mu, theta).cell_log_prob(x), expected.sum(-1), rtol=1e-5, atol=0
    )


def test_log_prob_is_that_of_scipy(cells):
    mu, theta, x = cells
    expected = stats.nbinom.logpmf(x.numpy(), theta.numpy(), (theta / (theta + mu)).numpy())
    log_prob = NegativeBinomial(mu, theta).log_prob(x)
    torch.testing.assert_close(log_prob, torch.as_tensor(expected), rtol=1e-5, atol=1e-6)


def test_probabilities_sum_to_one():
    x = torch.arange(3000, dtype=torch.float64)[:, None]
    p = NegativeBinomial(torch.full((1, 1), 20.0).double(), torch.full((1,), 0.7).double())
    assert p.log_prob(x).exp().sum().item() == pytest.approx(1, abs=1e-6)


def test_limit_of_large_theta_is_poisson():
    mu = torch.rand(4, 5, dtype=torch.float64) * 10 + 0.1
    x = torch.poisson(mu)
    p = NegativeBinomial(mu, torch.full((5,), 1e7, dtype=torch.float64))
    torch.testing.assert_close(p.log_prob(x), Poisson(mu).log_prob(x), rtol=1e-4, atol=1e-5)
