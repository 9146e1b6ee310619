import copy
import math

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, MultivariateNormal, Normal, kl_divergence
from torch.nn import functional

from mixvi.distributions import Components, GaussianArrow, NetworkStyle
from mixvi.priors import (
    CollapsedDirichlet,
    DirichletMixture,
    GlobalDirichlet,
    NetworkDirichlet,
    StandardPrior,
    UniformWeights,
)

pytestmark = pytest.mark.law

N, H, C = 9, 5, 2


def mixture(k=4, d=3, *, style=0, weights=None, conditioned=False, learned=False, network=False):
    """A prior in float64 whose parameters are not at their start."""
    torch.manual_seed(0)
    n_seen = C * conditioned
    prior = DirichletMixture(
        Components(k, d, NetworkStyle(style + n_seen, k, d) if style + n_seen else None),
        weights or UniformWeights(k),
        style_posterior=GaussianArrow(H, style) if style else None,
        style_prior=GaussianArrow(C, style) if learned else None,
        classifier=nn.Linear(d + n_seen, k) if network else None,
        conditioned=conditioned,
    )
    with torch.no_grad():
        prior.components.log_variance.normal_()
        if prior.components.style is not None:
            prior.components.style.network.last.weight.normal_(0, 20)
    return prior.double()


@pytest.fixture
def cells():
    torch.manual_seed(1)
    qz = Normal(torch.randn(N, 3).double(), torch.rand(N, 3).double() + 0.2)
    c = functional.one_hot(torch.arange(N) % C, C).double()
    return {"qz": qz, "z": qz.sample(), "h": torch.randn(N, H).double(), "c": c}


def unequal_weights(k=4):
    weights = GlobalDirichlet(k, 0.5)
    weights.initialize_(torch.arange(1.0, k + 1) * 10)
    return weights.eval()


@pytest.mark.parametrize("weights", [UniformWeights, lambda k: CollapsedDirichlet(k, 0.7)])
def test_one_standard_component_is_the_standard_prior(cells, weights):
    prior = mixture(1, weights=weights(1))
    with torch.no_grad():
        prior.components.loc.zero_()
        prior.components.log_variance.zero_()
    expected = StandardPrior(3).divergence(**cells)["kl_z"]
    terms = prior.divergence(**cells)
    torch.testing.assert_close(terms["kl_z"], expected)
    torch.testing.assert_close(sum(terms.values()), expected)
    log_prob = StandardPrior(3).log_prob(cells["z"], cells["c"])
    torch.testing.assert_close(prior.log_prob(cells["z"], cells["c"]), log_prob)


@pytest.mark.parametrize("weights", [lambda: CollapsedDirichlet(4, 0.7), unequal_weights])
def test_terms_are_their_definitions(cells, weights):
    prior = mixture(style=2, weights=weights(), learned=True)
    torch.manual_seed(3)
    terms = prior.divergence(**cells)
    torch.manual_seed(3)
    qw, pw = prior.style_posterior(cells["h"]), prior.style_prior(cells["c"])
    p = prior.components(qw.rsample())
    q = prior.assignment(cells["z"], cells["c"]).probs
    qz = Normal(cells["qz"].loc[:, None], cells["qz"].scale[:, None])
    torch.testing.assert_close(terms["kl_z"], (q * kl_divergence(qz, p).sum(-1)).sum(-1))
    torch.testing.assert_close(terms["kl_w"], kl_divergence(qw, pw).sum(-1))
    above = prior.mixture_weights.divergence(q, cells["z"])
    torch.testing.assert_close({name: terms[name] for name in above}, above)
    assert set(terms) == {"kl_z", "kl_w", *above}


def test_standard_style_prior(cells):
    prior = mixture(style=2)
    qw = prior.style(cells["h"])
    expected = kl_divergence(qw, Normal(torch.zeros(2).double(), torch.ones(2).double())).sum(-1)
    torch.testing.assert_close(prior.divergence(**cells)["kl_w"], expected)


def test_permuting_components_changes_nothing(cells):
    prior = mixture(weights=unequal_weights())
    order = torch.tensor([2, 0, 3, 1])
    permuted = copy.deepcopy(prior)
    with torch.no_grad():
        permuted.components.loc.copy_(prior.components.loc[order])
        permuted.components.log_variance.copy_(prior.components.log_variance[order])
        weights = prior.mixture_weights.concentration[order]
        permuted.mixture_weights.concentration.copy_(weights)
    torch.testing.assert_close(permuted.divergence(**cells), prior.divergence(**cells))
    z, c = cells["z"], cells["c"]
    torch.testing.assert_close(permuted.log_prob(z, c), prior.log_prob(z, c))
    torch.testing.assert_close(permuted.log_density(), prior.log_density())
    found, expected = permuted.assignment(z, c).probs, prior.assignment(z, c).probs
    torch.testing.assert_close(found, expected[:, order])


class _Sure(nn.Module):
    """A classifier that is sure of what it was told."""

    def __init__(self, labels):
        super().__init__()
        self.labels = labels

    def forward(self, z):
        return 1e4 * functional.one_hot(self.labels, 4).double()


@pytest.mark.parametrize("weights", [lambda: CollapsedDirichlet(4, 0.7), unequal_weights])
def test_labels_are_one_hot_responsibilities(cells, weights):
    prior = mixture(weights=weights())
    labels = torch.arange(N) % 4
    supervised = prior.divergence(**cells, labels=labels)
    sure = copy.deepcopy(prior)
    sure.classifier = _Sure(labels)
    torch.testing.assert_close(supervised, sure.divergence(**cells))
    # of the labeled component only
    rows = torch.arange(N)
    expected = prior.components.kl(cells["qz"])[rows, labels]
    torch.testing.assert_close(supervised["kl_z"], expected)


def test_unlabeled_cells_are_unsupervised(cells):
    prior = mixture(weights=CollapsedDirichlet(4, 0.7))
    unsupervised = prior.divergence(**cells)
    none = prior.divergence(**cells, labels=torch.full((N,), -1))
    torch.testing.assert_close(none, unsupervised)
    labels = torch.full((N,), -1)
    labels[0] = 2
    some = prior.divergence(**cells, labels=labels)
    for name, term in some.items():
        torch.testing.assert_close(term[1:], unsupervised[name][1:])
        assert term[0] != unsupervised[name][0]


def test_assignment_is_bayes_rule():
    prior = mixture(weights=unequal_weights())
    z, c = torch.randn(2, N, 3).double(), torch.zeros(N, C).double()
    shares = prior.weights()
    joint = torch.stack(
        [
            shares[k] * MultivariateNormal(loc, log_variance.exp().diag()).log_prob(z).exp()
            for k, (loc, log_variance) in enumerate(
                zip(prior.components.loc, prior.components.log_variance, strict=True)
            )
        ],
        -1,
    )
    evidence = joint.sum(-1)
    torch.testing.assert_close(prior.assignment(z, c).probs, joint / evidence[..., None])
    torch.testing.assert_close(prior.log_prob(z, c), evidence.log())
    torch.testing.assert_close(prior.log_weight(z, torch.zeros(N, H).double(), c), evidence.log())


def test_style_does_not_enter_the_assignment(cells):
    styled, plain = mixture(style=2), mixture()
    plain.components.load_state_dict(styled.components.state_dict(), strict=False)
    found = styled.assignment(cells["z"], cells["c"]).logits
    torch.testing.assert_close(found, plain.assignment(cells["z"], cells["c"]).logits)


@pytest.mark.parametrize("learned", [False, True])
def test_log_weight_is_unbiased(learned):
    prior = mixture(2, 1, style=1, learned=learned, weights=unequal_weights(2))
    with torch.no_grad():  # a wide proposal keeps the variance of the estimate small
        prior.style_posterior.log_variance.bias.fill_(0.7)
    n, n_samples = 3, 40_000
    z = torch.tensor([[-1.0], [0.3], [2.0]], dtype=torch.float64)
    h, c = 0.1 * torch.randn(n, H).double(), torch.eye(C).double()[[0, 1, 0]]
    pw = prior.style_prior(c) if learned else Normal(torch.zeros(n, 1), torch.ones(n, 1))
    grid = torch.linspace(-9, 9, 4001, dtype=torch.float64)
    exact = []
    for i in range(n):
        p = prior.components(grid[:, None])
        density = (p.log_prob(z[i]).sum(-1).exp() * prior.weights()).sum(-1)
        density = density * Normal(pw.loc[i].double(), pw.scale[i].double()).log_prob(grid).exp()
        exact.append(torch.trapezoid(density, grid))
    torch.manual_seed(0)
    with torch.no_grad():
        log_weight = prior.log_weight(z.expand(n_samples, n, 1), h, c)
    assert log_weight.shape == (n_samples, n)
    estimate = log_weight.logsumexp(0) - math.log(n_samples)
    torch.testing.assert_close(estimate, torch.stack(exact).log().detach(), atol=0.02, rtol=0)


@pytest.mark.parametrize("style", [0, 2])
def test_draws_have_the_moments_of_the_components(style):
    prior = mixture(3, 2, style=style, weights=unequal_weights(3))
    n = 20_000
    torch.manual_seed(0)
    with torch.no_grad():
        c = torch.zeros(n, C).double()
        z = prior.sample(c, torch.full((n,), 1))
        w = torch.randn(n, style).double() if style else None
        p = prior.components(w)
        loc, variance = (value[..., 1, :].expand(n, 2) for value in (p.loc, p.variance))
        expected = variance.mean(0) + loc.var(0)
        error = 5 * (expected / n).sqrt()
        assert ((z.mean(0) - loc.mean(0)).abs() < error + loc.std(0) * 5 / n**0.5).all()
        torch.testing.assert_close(z.var(0), expected, rtol=0.1, atol=0)
        draws = prior.sample(c)
        centers, shares = prior.components(w).loc.expand(n, 3, 2).mean(0), prior.weights()
        between = (shares[:, None] * centers).sum(0)
        torch.testing.assert_close(draws.mean(0), between, atol=0.1, rtol=0)


def clusters(k=3, d=2, n=600):
    torch.manual_seed(2)
    y = torch.arange(n) % k
    centers = 8 * torch.eye(k, d) - 4 * torch.eye(k, d).flip(0)
    z = centers[y] + torch.tensor([0.5, 1.5])[:d] * torch.randn(n, d)
    return z.double(), functional.one_hot(y, k).double(), y


def test_initialize_recovers_moments():
    z, weights, y = clusters()
    prior = mixture(3, 2, weights=GlobalDirichlet(3, 0.5))
    prior.initialize_(z, weights, torch.zeros(len(z), C).double())
    for k in range(3):
        torch.testing.assert_close(prior.components.loc[k], z[y == k].mean(0))
        expected = z[y == k].var(0, unbiased=False).clamp(min=0.05)
        torch.testing.assert_close(prior.components.log_variance[k].exp(), expected)
    torch.testing.assert_close(prior.mixture_weights.concentration, 0.5 + weights.sum(0))
    found = prior.assignment(z, torch.zeros(len(z), C).double()).probs.argmax(-1)
    assert (found == y).double().mean() > 0.99


def test_initialize_weighs_soft_assignments():
    z, weights, _ = clusters()
    soft = 0.8 * weights + 0.2 / 3
    prior = mixture(3, 2)
    prior.initialize_(z, soft, torch.zeros(len(z), C).double())
    expected = (soft[..., None] * z[:, None]).sum(0) / soft.sum(0)[:, None]
    torch.testing.assert_close(prior.components.loc.detach(), expected)


@pytest.mark.parametrize("conditioned", [False, True])
def test_initialize_starts_the_classifier(conditioned):
    z, weights, y = clusters()
    prior = mixture(3, 2, conditioned=conditioned, network=True)
    c = functional.one_hot(torch.arange(len(z)) % C, C).double()
    prior.initialize_(z, weights, c)
    found = prior.assignment(z, c).probs.argmax(-1)
    assert (found == y).double().mean() > 0.97


def test_empty_components_take_no_cells():
    z, weights, _ = clusters()
    c = torch.zeros(len(z), C).double()
    prior = mixture(5, 2)
    prior.initialize_(z, functional.pad(weights, (0, 2)), c)
    assert all(parameter.isfinite().all() for parameter in prior.components.parameters())
    assert prior.assignment(z, c).probs[:, 3:].max() < 1e-3
    farthest = (z - z.mean(0)).norm(dim=-1).max()
    assert ((prior.components.loc[3:] - z.mean(0)).norm(dim=-1) > farthest).all()
    # as wide as the others
    pooled = weights.mean(0) @ prior.components.log_variance[:3].exp()
    torch.testing.assert_close(
        prior.components.log_variance[3:].exp().detach(), pooled.detach().expand(2, 2)
    )


def test_tight_clusters_start_with_a_floor():
    z = torch.zeros(20, 3).double()
    prior = mixture()
    prior.initialize_(z, functional.one_hot(torch.arange(20) % 4, 4).double(), z[:, :C])
    assert (prior.components.log_variance.exp() > 0.049).all()


def test_only_a_conditioned_prior_sees_covariates(cells):
    other = cells["c"].flip(-1)
    for conditioned in (False, True):
        for network in (False, True):
            prior = mixture(conditioned=conditioned, network=network)
            z = cells["z"]
            same = torch.allclose(
                prior.assignment(z, cells["c"]).probs, prior.assignment(z, other).probs
            )
            assert same != conditioned
            same = torch.allclose(prior.centers(cells["c"]).loc, prior.centers(other).loc)
            assert same != conditioned
            same = torch.allclose(prior.log_prob(z, cells["c"]), prior.log_prob(z, other))
            assert same != conditioned


def test_conditioned_components_take_style_and_covariates(cells):
    prior = mixture(style=2, conditioned=True)
    centers = prior.centers(cells["c"])
    w = torch.cat([torch.zeros(N, 2).double(), cells["c"]], -1)
    torch.testing.assert_close(centers.loc, prior.components(w).loc)
    z = torch.randn(6, N, 3).double()
    stacked = torch.stack([prior.log_prob(one, cells["c"]) for one in z])
    torch.testing.assert_close(prior.log_prob(z, cells["c"]), stacked)
    assert prior.log_weight(z, cells["h"], cells["c"]).shape == (6, N)


@pytest.mark.parametrize("dirichlet", ["uniform", "collapsed", "network", "global"])
def test_every_parameter_gets_a_gradient(cells, dirichlet):
    weights = {
        "uniform": UniformWeights(4),
        "collapsed": CollapsedDirichlet(4, 0.7),
        "network": NetworkDirichlet(4, 0.7, 3),
        "global": GlobalDirichlet(4, 0.7),
    }[dirichlet]
    prior = mixture(style=2, weights=weights, conditioned=True, learned=True, network=True)
    sum(prior.divergence(**cells).values()).sum().backward()
    for name, parameter in prior.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_a_prior_without_style_says_so(cells):
    with pytest.raises(ValueError, match="expected a model with a style, found n_style=0"):
        mixture().style(cells["h"])


def test_assignment_is_a_categorical_of_each_cell(cells):
    q = mixture(network=True).assignment(torch.randn(2, N, 3).double(), cells["c"])
    assert isinstance(q, Categorical)
    torch.testing.assert_close(q.probs.sum(-1), torch.ones(2, N).double())
