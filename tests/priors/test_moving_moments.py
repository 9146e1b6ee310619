import pytest
import torch
from torch.distributions import Normal

from mixvi.distributions import Components
from mixvi.priors import GaussianMixture

pytestmark = pytest.mark.law

K, D = 4, 3


@pytest.mark.parametrize("covariance", ["diag", "spherical", "tied", "unit"])
def test_cells_like_the_components_do_not_move_them(covariance):
    """Also not in the first step of a prior that was never started from clusters."""
    torch.manual_seed(0)
    prior = GaussianMixture(Components(K, D, covariance=covariance)).double().train()
    loc = prior.components.loc.clone()
    scale = prior.components().scale.expand(K, D)
    # one cell in every component, at its mean and as wide as it is
    cells = Normal(loc[:, None].expand(K, K, D), scale[:, None].expand(K, K, D).clone())
    prior.conditional_divergence(cells, torch.eye(K).double())
    torch.testing.assert_close(prior.components.loc, loc, rtol=1e-5, atol=1e-5)
    found = prior.components().scale.expand(K, D)
    torch.testing.assert_close(found, scale, rtol=1e-5, atol=1e-5)
