import pytest
import torch
from scipy import stats
from scvi.distributions import ZeroInflatedNegativeBinomial as Reference

from mixvi.distributions import NegativeBinomial, ZeroInflatedNegativeBinomial

pytestmark = pytest.mark.law


@pytest.fixture(scope="module")
def cells():
    torch.manual_seed(0)
    mu = (2 * torch.randn(50, 30, dtype=torch.float64)).exp()
    theta = torch.randn(30, dtype=torch.float64).exp()
    logits = 2 * torch.randn_like(mu)
    x = torch.poisson(mu) * (torch.rand_like(mu) < 0.6)
    return mu, theta, logits, x


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_prob_is_that_of_scvi(cells, dtype):
    mu, theta, logits, x = (value.to(dtype) for value in cells)
    expected = Reference(mu=mu, theta=theta, zi_logits=logits).log_prob(x)
    p = ZeroInflatedNegativeBinomial(mu, theta, logits)
    torch.testing.assert_close(p.log_prob(x), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(p.cell_log_prob(x), expected.sum(-1), rtol=1e-5, atol=0)


def test_log_prob_is_the_mixture_of_scipy(cells):
    mu, theta, logits, x = cells
    pi = logits.sigmoid()
    counts = stats.nbinom.pmf(x.numpy(), theta.numpy(), (theta / (theta + mu)).numpy())
    expected = ((1 - pi) * torch.as_tensor(counts) + pi * (x == 0)).log()
    log_prob = ZeroInflatedNegativeBinomial(mu, theta, logits).log_prob(x)
    torch.testing.assert_close(log_prob, expected, rtol=1e-5, atol=1e-6)


def test_without_inflation_it_is_the_negative_binomial(cells):
    mu, theta, logits, x = cells
    none = torch.full_like(logits, -60.0)
    torch.testing.assert_close(
        ZeroInflatedNegativeBinomial(mu, theta, none).cell_log_prob(x),
        NegativeBinomial(mu, theta).cell_log_prob(x),
    )
