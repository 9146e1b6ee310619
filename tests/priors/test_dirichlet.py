import math

import pytest
import torch
from scipy import special
from scipy.optimize import brentq, minimize
from torch.distributions import Dirichlet, kl_divergence

from mixvi.priors import (
    CollapsedDirichlet,
    GlobalDirichlet,
    NetworkDirichlet,
    UniformWeights,
    collapsed_penalty,
)

pytestmark = pytest.mark.law

ALPHAS = [0.05, 0.233, 1.0, 10.0]


def responsibilities(k, n=6):
    torch.manual_seed(k)
    return (2 * torch.randn(n, k, dtype=torch.float64)).softmax(-1)


def one_hot(k):
    return torch.eye(k, dtype=torch.float64)[:1]


def uniform(k):
    return torch.full((1, k), 1 / k, dtype=torch.float64)


def network_form(q, a, alpha):
    """kl_y + kl_d, from torch and scipy."""
    values = a.detach().numpy()
    expected_log_d = torch.as_tensor(
        special.digamma(values) - special.digamma(values.sum(-1, keepdims=True))
    )
    kl_d = kl_divergence(Dirichlet(a), Dirichlet(torch.full_like(a, alpha)))
    return (q * (q.log() - expected_log_d)).sum(-1) + kl_d


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("k", [2, 7, 10])
def test_collapsed_is_the_network_form_at_its_optimum(k, alpha):
    q = responsibilities(k)
    closed = collapsed_penalty(q, alpha)
    torch.testing.assert_close(closed, network_form(q, alpha + q, alpha))
    terms = CollapsedDirichlet(k, alpha).divergence(q, q)
    torch.testing.assert_close(terms["kl_y"] + terms["kl_d"], closed)


def test_network_form_is_collapsed_where_the_network_says_so():
    q, alpha = responsibilities(5, 1), 0.8
    form = NetworkDirichlet(5, alpha, 3).double()
    with torch.no_grad():
        form.network[-1].weight.zero_()
        form.network[-1].bias.copy_((alpha + q[0] - 1e-3).expm1().log())
    z = torch.randn(1, 3, dtype=torch.float64)
    terms = form.divergence(q, z)
    torch.testing.assert_close(form.posterior(z).concentration, alpha + q)
    torch.testing.assert_close(terms["kl_y"] + terms["kl_d"], collapsed_penalty(q, alpha))


def test_network_form_is_that_of_torch_and_its_parameters_learn():
    q, alpha = responsibilities(5), 0.8
    form = NetworkDirichlet(5, alpha, 3).double()
    z = torch.randn(6, 3, dtype=torch.float64)
    terms = form.divergence(q, z)
    total = terms["kl_y"] + terms["kl_d"]
    a = form.posterior(z).concentration.detach()
    torch.testing.assert_close(total, network_form(q, a, alpha))
    assert (total >= collapsed_penalty(q, alpha) - 1e-9).all()
    total.sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in form.parameters())


@pytest.mark.parametrize("alpha", ALPHAS)
def test_gradient_is_that_of_the_closed_form(alpha):
    q = responsibilities(7).requires_grad_()
    (expected,) = torch.autograd.grad(collapsed_penalty(q, alpha).sum(), q)
    terms = CollapsedDirichlet(7, alpha).divergence(q, q.detach())
    (found,) = torch.autograd.grad((terms["kl_y"] + terms["kl_d"]).sum(), q)
    # along the simplex: a constant shift of the gradient over components means nothing there
    torch.testing.assert_close(
        found - found.mean(-1, keepdim=True), expected - expected.mean(-1, keepdim=True)
    )


@pytest.mark.parametrize(("k", "kl_y", "kl_d"), [(10, 1.929, 0.374), (7, 1.593, 0.353)])
def test_numbers_of_a_sure_cell(k, kl_y, kl_d):
    terms = CollapsedDirichlet(k, 1.0).divergence(one_hot(k), one_hot(k))
    assert terms["kl_y"].item() == pytest.approx(kl_y, abs=6e-4)
    assert terms["kl_d"].item() == pytest.approx(kl_d, abs=6e-4)


@pytest.mark.parametrize("alpha", [1e-3, 0.2, 1.0, 50.0])
@pytest.mark.parametrize("k", [2, 7, 28])
def test_a_sure_cell_costs_log_k(k, alpha):
    assert collapsed_penalty(one_hot(k), alpha).item() == pytest.approx(math.log(k), rel=1e-9)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("k", [2, 10])
def test_a_uniform_cell(k, alpha):
    expected = math.log(alpha) + k * (math.lgamma(alpha) - math.lgamma(alpha + 1 / k))
    assert collapsed_penalty(uniform(k), alpha).item() == pytest.approx(expected, rel=1e-9)


def test_large_alpha_is_uniform_weights():
    q = responsibilities(8)
    (kl_y,) = UniformWeights(8).divergence(q, q).values()
    torch.testing.assert_close(kl_y, (q * (8 * q).log()).sum(-1), atol=1e-6, rtol=1e-6)
    terms = CollapsedDirichlet(8, 1e6).divergence(q, q)
    torch.testing.assert_close(terms["kl_y"] + terms["kl_d"], kl_y, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("k", "threshold"), [(7, 0.247), (10, 0.233), (14, 0.220), (20, 0.207), (28, 0.196)]
)
def test_alpha_below_which_sure_cells_are_cheaper(k, threshold):
    def advantage(alpha):
        difference = collapsed_penalty(uniform(k), alpha) - collapsed_penalty(one_hot(k), alpha)
        return difference.item()

    assert brentq(advantage, 0.01, 5) == pytest.approx(threshold, abs=6e-4)
    assert advantage(0.9 * threshold) > 0 > advantage(1.1 * threshold)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 3.0])
def test_best_concentration_is_alpha_plus_q(alpha):
    q = responsibilities(4, 1)

    def objective(log_a):
        a = torch.as_tensor(log_a).exp()[None].requires_grad_()
        log_d = torch.digamma(a) - torch.digamma(a.sum(-1, keepdim=True))
        kl_d = kl_divergence(Dirichlet(a), Dirichlet(torch.full_like(a, alpha)))
        value = (q * (q.log() - log_d)).sum() + kl_d.sum()
        (gradient,) = torch.autograd.grad(value, a)
        return value.item(), (gradient * a).detach().numpy()[0]

    found = minimize(objective, torch.zeros(4).double().numpy(), jac=True, tol=1e-10)
    best = torch.as_tensor(found.x).exp()[None]
    torch.testing.assert_close(best, alpha + q, rtol=1e-4, atol=1e-5)
    assert found.fun == pytest.approx(collapsed_penalty(q, alpha).item(), rel=1e-8)


@pytest.mark.parametrize("form", ["uniform", "collapsed", "network", "global"])
@pytest.mark.parametrize("logit", [50.0, 200.0])
def test_gradient_is_finite_where_responsibilities_underflow(form, logit):
    weights = {
        "uniform": lambda: UniformWeights(3),
        "collapsed": lambda: CollapsedDirichlet(3, 0.2),
        "network": lambda: NetworkDirichlet(3, 0.2, 2),
        "global": lambda: GlobalDirichlet(3, 0.2),
    }[form]()
    logits = torch.tensor([[0.0, logit, -logit]], requires_grad=True)
    terms = weights.divergence(logits.softmax(-1), torch.zeros(1, 2))
    sum(terms.values()).sum().backward()
    assert logits.grad.isfinite().all()
    assert all(term.isfinite().all() for term in terms.values())
    penalty = collapsed_penalty(logits.softmax(-1), 0.2)
    assert penalty.isfinite().all()


def test_global_update_converges_to_alpha_plus_counts():
    q = responsibilities(5, 40)
    weights = GlobalDirichlet(5, 0.3, step=0.2).double()
    weights.initialize_(torch.tensor([36.0, 1, 1, 1, 1]).double())
    for _ in range(200):
        weights.divergence(q, q)
    torch.testing.assert_close(weights.concentration, 0.3 + q.sum(0))
    weights.divergence(q, q)
    torch.testing.assert_close(weights.concentration, 0.3 + q.sum(0))
    torch.testing.assert_close(weights.expected(), Dirichlet(0.3 + q.sum(0)).mean)


def test_global_concentration_maximizes_the_bound():
    q = responsibilities(4, 40)
    weights = GlobalDirichlet(4, 0.3).double().eval()

    def bound(a):
        weights.concentration.copy_(a)
        return (weights.log_density() - weights.divergence(q, q)["kl_y"].sum()).item()

    best = 0.3 + q.sum(0)
    for k in range(4):
        for factor in (0.9, 1.1):
            moved = best.clone()
            moved[k] *= factor
            assert bound(moved) < bound(best)


def test_global_density_is_that_of_torch():
    weights = GlobalDirichlet(4, 0.3).double()
    weights.initialize_(torch.tensor([10.0, 5, 1, 0]).double())
    prior = Dirichlet(torch.full((4,), 0.3, dtype=torch.float64))
    expected = -kl_divergence(Dirichlet(weights.concentration), prior)
    torch.testing.assert_close(weights.log_density(), expected)


@pytest.mark.parametrize("how", ["eval", "no_grad"])
def test_global_stays_put_outside_training(how):
    weights, q = GlobalDirichlet(4, 0.3), responsibilities(4).float()
    before = weights.concentration.clone()
    with torch.set_grad_enabled(how == "eval"):
        weights.train(how != "eval").divergence(q, q)
    assert torch.equal(weights.concentration, before)


def test_expected_weights_sum_to_one():
    forms = [UniformWeights(4), CollapsedDirichlet(4, 0.3), NetworkDirichlet(4, 0.3, 2)]
    for weights in [*forms, GlobalDirichlet(4, 0.3)]:
        torch.testing.assert_close(weights.expected(), torch.full((4,), 0.25))
    assert all(weights.log_density() == 0 for weights in forms)
