import copy

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, MixtureSameFamily, Normal, kl_divergence
from torch.nn import functional

from mixvi.distributions import Components
from mixvi.priors import GaussianMixture, LatentPrior, repulsion

pytestmark = pytest.mark.law

N, H, K, D = 12, 5, 4, 3


def mixture(covariance="diag", *, network=False, form=None, strength=1.0):
    """A prior in float64 whose parameters are not at their start."""
    torch.manual_seed(0)
    prior = GaussianMixture(
        Components(K, D, covariance=covariance),
        classifier=nn.Linear(D, K) if network else None,
        repulsion=None if form is None else repulsion(form),
        strength=strength,
    )
    with torch.no_grad():
        if covariance != "unit":
            prior.components.log_variance.normal_(0, 0.5)
        prior.usage.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    return prior.double().eval()


@pytest.fixture
def cells():
    torch.manual_seed(1)
    qz = Normal(torch.randn(N, D).double(), torch.rand(N, D).double() + 0.2)
    c = torch.zeros(N, 0).double()
    return {"qz": qz, "z": qz.sample(), "h": torch.randn(N, H).double(), "c": c}


def torch_mixture(prior):
    p = prior.components()
    loc, scale = torch.broadcast_tensors(p.loc, p.scale)
    parts = torch.distributions.Independent(Normal(loc, scale), 1)
    return MixtureSameFamily(Categorical(prior.weights()), parts)


@pytest.mark.parametrize("covariance", ["diag", "spherical", "tied", "unit"])
def test_log_prob_is_torchs(cells, covariance):
    prior = mixture(covariance)
    expected = torch_mixture(prior).log_prob(cells["z"])
    torch.testing.assert_close(prior.log_prob(cells["z"], cells["c"]), expected)


@pytest.mark.parametrize("covariance", ["diag", "spherical", "tied", "unit"])
def test_is_vade(cells, covariance):
    """kl_z + kl_y = log q(z|x) − log p(z): the bound of VaDE, whose q(y|x) is Bayes' rule."""
    prior = mixture(covariance)
    terms = prior.divergence(**cells)
    expected = cells["qz"].log_prob(cells["z"]).sum(-1) - torch_mixture(prior).log_prob(cells["z"])
    torch.testing.assert_close(terms["kl_z"] + terms["kl_y"], expected)
    assert set(terms) == {"kl_z", "kl_y"}
    # and not with another q(y | x)
    wrong = mixture(covariance, network=True).divergence(**cells)
    assert (wrong["kl_z"] + wrong["kl_y"] - expected).abs().max() > 0.1


def test_learned_assignment_by_definition(cells):
    prior = mixture(network=True)
    terms = prior.divergence(**cells)
    qz, p = cells["qz"], prior.components()
    q = prior.classifier(qz.loc).softmax(-1)
    kl = kl_divergence(Normal(qz.loc[:, None], qz.scale[:, None]), Normal(p.loc, p.scale)).sum(-1)
    torch.testing.assert_close(terms["kl_z"], (q * kl).sum(-1))
    expected = kl_divergence(Categorical(q), Categorical(prior.weights().expand(N, -1)))
    torch.testing.assert_close(terms["kl_y"], expected)


def test_conditional_posteriors_that_agree_are_the_shared_one(cells):
    prior, qz = mixture(network=True), cells["qz"]
    shared = prior.divergence(**cells)
    q = prior.classifier(qz.loc).softmax(-1)
    every = Normal(qz.loc[:, None].expand(N, K, D), qz.scale[:, None].expand(N, K, D))
    torch.testing.assert_close(prior.conditional_divergence(every, q), shared)


@pytest.mark.parametrize("network", [True, False])
def test_labels_are_one_hot_responsibilities(cells, network):
    prior = mixture(network=network)
    labels = torch.arange(N) % K
    terms = prior.divergence(**cells, labels=labels)
    torch.testing.assert_close(terms["kl_y"], -prior.weights().log()[labels])
    if network:
        rows = torch.arange(N)
        expected = prior.components.kl(cells["qz"])[rows, labels]
        torch.testing.assert_close(terms["kl_z"], expected)
    unlabeled = prior.divergence(**cells, labels=torch.full((N,), -1))
    torch.testing.assert_close(unlabeled, prior.divergence(**cells))


@pytest.mark.parametrize("form", ["mmd", "means", "hellinger", "dpp"])
def test_repulsion_is_a_term_of_its_own(cells, form):
    prior, plain = mixture(form=form, strength=3.0), mixture()
    terms = prior.divergence(**cells)
    log_h = terms.pop("repulsion")
    torch.testing.assert_close(terms, plain.divergence(**cells))
    assert (log_h == log_h[0]).all()
    torch.testing.assert_close(log_h[0], -3 * prior.log_repulsion())
    assert log_h[0] > 0


def train(prior, qz, q, steps=600):
    """Steps with fixed posteriors and responsibilities."""
    prior.train()
    for _ in range(steps):
        prior._follow_(q, qz.loc, qz.loc.square() + qz.scale.square())
    return prior.eval()


@pytest.mark.parametrize("covariance", ["diag", "spherical", "tied", "unit"])
def test_moments_come_to_lemma_1(cells, covariance):
    """With fixed responsibilities the components end at the moments that minimize Σ q KL."""
    prior, qz = mixture(covariance), cells["qz"]
    q = torch.softmax(2 * torch.randn(N, K, dtype=torch.float64), -1)
    train(prior, qz, q)
    total = q.sum(0)[:, None]
    loc = q.T @ qz.loc / total
    torch.testing.assert_close(prior.components.loc.detach(), loc, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(prior.weights(), q.mean(0), rtol=1e-4, atol=1e-4)
    # the gradient of the objective vanishes there
    components = copy.deepcopy(prior.components)
    parameters = [components.loc] + [components.log_variance] * (covariance != "unit")
    for parameter in parameters:
        parameter.requires_grad_()
    loss = (q * components.kl(qz)).sum()
    for slope in torch.autograd.grad(loss, parameters):
        assert slope.abs().max() < 1e-3
    moved = copy.deepcopy(prior.components)
    moved.loc.add_(0.1)
    assert (q * moved.kl(qz)).sum() > loss + 0.01


@pytest.mark.parametrize("covariance", ["diag", "tied"])
def test_with_bayes_rule_they_rest_where_the_bound_does(covariance):
    """Responsibilities go with the sampled z, and so must the moments: E z would pull them in."""
    torch.manual_seed(0)
    prior = mixture(covariance).train()
    centers = 2.0 * torch.eye(K, D).double()  # as far apart as a cell's own q(z | x) is wide
    qz = Normal(centers.repeat(100, 1), torch.ones(100 * K, D).double())
    c = torch.zeros(100 * K, 0).double()
    prior.initialize_(qz.loc, torch.eye(K).double().repeat(100, 1), c)
    for _ in range(300):
        prior.divergence(qz, qz.sample(), c, c)
    prior.eval()
    parameters = [prior.components.loc, prior.components.log_variance]
    for parameter in parameters:
        parameter.requires_grad_()
    z = torch.cat([qz.sample() for _ in range(200)])
    log_p = prior.components.log_prob(z) + prior.weights().log()
    slopes = torch.autograd.grad(-log_p.logsumexp(-1).mean(), parameters)
    assert all(slope.abs().max() < 0.01 for slope in slopes)
    assert (prior.components.loc - centers).abs().max() < 0.5


def test_small_components_move_as_fast_as_large_ones(cells):
    """A gradient step is proportional to a component's mass; this one is not."""
    qz = Normal(torch.ones(N, D).double(), torch.ones(N, D).double())
    q = torch.full((N, K), 0.0, dtype=torch.float64)
    q[:, 0], q[:, 1] = 0.99, 0.01
    prior = mixture()
    with torch.no_grad():
        prior.components.loc.zero_()
        prior.counts.copy_(q.mean(0))
        prior.first.zero_()
        prior.second.copy_(prior.counts[:, None] * torch.ones(K, D))
    train(prior, qz, q, steps=1)
    moved = prior.components.loc.detach()
    torch.testing.assert_close(moved[0], moved[1])
    assert moved[0].min() > 0.01


def test_components_without_cells_stay(cells):
    prior = mixture()
    before = prior.components.loc.detach().clone()
    q = functional.one_hot(torch.zeros(N, dtype=torch.long), K).double()
    train(prior, cells["qz"], q, steps=1200)
    after = prior.components.loc.detach()
    assert torch.isfinite(after).all()
    # what was left of them decays with their weight, so their mean does not move to 0
    torch.testing.assert_close(after[1:], before[1:], rtol=1e-3, atol=1e-3)
    assert prior.weights().min() > 0
    assert torch.isfinite(prior.log_prob(cells["z"], cells["c"])).all()


@pytest.mark.parametrize("form", ["mmd", "means", "hellinger", "dpp"])
@pytest.mark.parametrize("apart", [0.01, 0.5])
def test_repulsion_comes_to_rest(form, apart):
    """Two groups of cells that all but coincide: no swinging, a bounded push, and apart."""
    prior = GaussianMixture(Components(2, D), repulsion=repulsion(form), strength=1.0).double()
    loc = torch.zeros(N, D).double()
    loc[N // 2 :, 0] = apart
    qz = Normal(loc, torch.ones(N, D).double())
    q = functional.one_hot((torch.arange(N) >= N // 2).long(), 2).double()
    with torch.inference_mode(False):
        prior.initialize_(loc, q, torch.zeros(N, 0))
    train(prior, qz, q, 400)
    earlier = prior.components.loc.detach().clone()
    train(prior, qz, q, 40)
    now = prior.components.loc.detach()
    torch.testing.assert_close(now, earlier, atol=0.05, rtol=0.05)
    distance = (now[1] - now[0]).norm()
    assert apart - 1e-6 <= distance < apart + 6.1
    if form != "means" and apart < 1:
        assert distance > apart + 0.05


def test_does_not_learn_while_evaluating(cells):
    prior = mixture(form="mmd")
    before = copy.deepcopy(prior.state_dict())
    prior.divergence(**cells)
    prior.train()
    with torch.no_grad():
        prior.divergence(**cells)
    torch.testing.assert_close(prior.state_dict(), before)
    prior.divergence(**cells)
    assert not torch.equal(prior.components.loc, before["components.loc"])


def test_responsibilities_average_over_the_posterior(cells):
    prior, qz = mixture(), cells["qz"]
    torch.manual_seed(0)
    z = qz.sample((20_000,))
    expected = prior.assignment(z, cells["c"]).probs.mean(0)
    found = prior.responsibilities(qz, cells["c"], n_points=256)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)
    torch.testing.assert_close(found, prior.responsibilities(qz, cells["c"], n_points=256))
    certain = Normal(qz.loc, torch.full_like(qz.scale, 1e-6))
    at_mean = prior.assignment(qz.loc, cells["c"]).probs
    torch.testing.assert_close(
        prior.responsibilities(certain, cells["c"]), at_mean, atol=1e-4, rtol=0
    )
    # uncertainty about z is uncertainty about y
    entropy = Categorical(found).entropy().mean()
    assert entropy > Categorical(at_mean).entropy().mean()


@pytest.mark.parametrize("apart", [1.0, 30.0, 1000.0])
def test_responsibilities_are_those_at_the_points(cells, apart):
    prior, qz = mixture(), cells["qz"]
    with torch.no_grad():
        prior.components.loc.mul_(apart)
    slow = LatentPrior.responsibilities(prior, qz, cells["c"])
    found = prior.responsibilities(qz, cells["c"])
    torch.testing.assert_close(found, slow)
    torch.testing.assert_close(found.sum(-1), torch.ones(N).double())


def test_sample_has_the_mixtures_moments():
    prior = mixture()
    torch.manual_seed(0)
    z = prior.sample(torch.zeros(100_000, 0).double())
    expected = torch_mixture(prior)
    torch.testing.assert_close(z.mean(0), expected.mean, atol=0.02, rtol=0)
    torch.testing.assert_close(z.var(0), expected.variance, rtol=0.03, atol=0)
