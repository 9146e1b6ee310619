import pytest
import torch
from scipy import stats
from scvi.distributions import Poisson as Reference

from mixvi.distributions import Poisson

pytestmark = pytest.mark.law


@pytest.fixture(scope="module")
def cells():
    torch.manual_seed(0)
    rate = (2 * torch.randn(50, 30, dtype=torch.float64)).exp()
    return rate, torch.poisson(rate)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_prob_is_that_of_scvi(cells, dtype):
    rate, x = (value.to(dtype) for value in cells)
    expected = Reference(rate).log_prob(x)
    torch.testing.assert_close(Poisson(rate).log_prob(x), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(Poisson(rate).cell_log_prob(x), expected.sum(-1), rtol=1e-5, atol=0)


def test_log_prob_is_that_of_scipy(cells):
    rate, x = cells
    expected = torch.as_tensor(stats.poisson.logpmf(x.numpy(), rate.numpy()))
    torch.testing.assert_close(Poisson(rate).log_prob(x), expected, rtol=1e-5, atol=1e-6)


def test_scale_is_the_mean_unless_given():
    rate = torch.rand(2, 3)
    assert Poisson(rate).get_normalized("scale") is rate
