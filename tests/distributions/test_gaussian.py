import pytest
import torch

from mixvi.distributions import GaussianArrow

pytestmark = pytest.mark.law


def test_moments_are_the_linear_heads():
    arrow = GaussianArrow(5, 2)
    h = torch.randn(3, 4, 5)
    p = arrow(h)
    torch.testing.assert_close(p.loc, arrow.loc(h))
    torch.testing.assert_close(p.variance, arrow.log_variance(h).exp() + 1e-4)
    assert p.loc.shape == p.scale.shape == (3, 4, 2)


def test_variance_has_a_floor():
    arrow = GaussianArrow(1, 2)
    with torch.no_grad():
        arrow.log_variance.bias.fill_(-1e3)
    p = arrow(torch.zeros(1, 1))
    torch.testing.assert_close(p.variance, torch.full((1, 2), 1e-4))
    assert p.log_prob(torch.ones(1, 2)).isfinite().all()
