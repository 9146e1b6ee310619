import pytest
import torch
from scipy import stats

from mixvi.distributions import Bernoulli, Normal, NormalLikelihood

pytestmark = pytest.mark.law


def test_normal_is_that_of_scipy():
    torch.manual_seed(0)
    loc, x = torch.randn(2, 20, 7, dtype=torch.float64)
    scale = torch.rand(7, dtype=torch.float64) + 0.1
    expected = torch.as_tensor(stats.norm.logpdf(x.numpy(), loc.numpy(), scale.numpy()))
    p = Normal(loc, scale)
    torch.testing.assert_close(p.log_prob(x), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(p.cell_log_prob(x), expected.sum(-1), rtol=1e-5, atol=0)


def test_bernoulli_is_that_of_scipy():
    torch.manual_seed(0)
    logits = 3 * torch.randn(20, 7, dtype=torch.float64)
    x = torch.bernoulli(torch.full_like(logits, 0.4))
    expected = torch.as_tensor(stats.bernoulli.logpmf(x.numpy(), logits.sigmoid().numpy()))
    p = Bernoulli(logits)
    torch.testing.assert_close(p.log_prob(x), expected, rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(p.cell_log_prob(x), expected.sum(-1), rtol=1e-5, atol=0)


def test_gray_pixels_are_probabilities():
    # the expected log probability of a pixel that is 1 with the probability of its gray
    logits = torch.randn(5, 8, dtype=torch.float64)
    gray = torch.rand(5, 8, dtype=torch.float64)
    p = Bernoulli(logits)
    ones, zeros = p.log_prob(torch.ones_like(gray)), p.log_prob(torch.zeros_like(gray))
    expected = gray * ones + (1 - gray) * zeros
    torch.testing.assert_close(p.cell_log_prob(gray), expected.sum(-1))
    torch.testing.assert_close(p.log_prob(gray), expected)


def test_bernoulli_of_extreme_logits_is_finite():
    logits = torch.tensor([[-200.0, 200.0, 0.0]], requires_grad=True)
    log_prob = Bernoulli(logits).cell_log_prob(torch.tensor([[1.0, 0.0, 1.0]]))
    log_prob.sum().backward()
    assert log_prob.isfinite().all()
    assert logits.grad.isfinite().all()


def test_scale_of_a_fitted_gene_has_a_floor():
    likelihood = NormalLikelihood(2, 3)
    with torch.no_grad():
        likelihood.raw_scale.fill_(-1e3)
    p = likelihood(torch.zeros(4, 2), torch.zeros(4, 1))
    torch.testing.assert_close(p.scale, torch.full((4, 3), 0.01))
