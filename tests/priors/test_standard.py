import pytest
import torch
from torch.distributions import Normal, kl_divergence

from mixvi.priors import StandardPrior

pytestmark = pytest.mark.law


def test_everything_is_that_of_the_standard_normal():
    torch.manual_seed(0)
    prior, c = StandardPrior(3), torch.zeros(5, 0)
    qz = Normal(torch.randn(5, 3), torch.rand(5, 3) + 0.1)
    z = torch.randn(2, 5, 3)
    standard = Normal(torch.zeros(3), torch.ones(3))
    terms = prior.divergence(qz, z[0], torch.zeros(5, 1), c)
    torch.testing.assert_close(terms, {"kl_z": kl_divergence(qz, standard).sum(-1)})
    torch.testing.assert_close(prior.log_prob(z, c), standard.log_prob(z).sum(-1))
    torch.testing.assert_close(
        prior.log_weight(z, torch.zeros(5, 1), c), standard.log_prob(z).sum(-1)
    )
    torch.testing.assert_close(prior.assignment(z, c).probs, torch.ones(2, 5, 1))
    torch.testing.assert_close(prior.centers(c).loc, torch.zeros(5, 1, 3))
    assert prior.weights().tolist() == [1]
    assert prior.log_density() == 0


def test_draws():
    torch.manual_seed(0)
    z = StandardPrior(2).sample(torch.zeros(20_000, 0))
    torch.testing.assert_close(z.mean(0), torch.zeros(2), atol=0.03, rtol=0)
    torch.testing.assert_close(z.t().cov(), torch.eye(2), atol=0.04, rtol=0)


def test_there_is_no_style():
    with pytest.raises(ValueError, match="expected a model with a style, found n_style=0"):
        StandardPrior(2).style(torch.zeros(4, 3))
