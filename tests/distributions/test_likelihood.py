"""Laws that every observation model obeys: cell_log_prob, gradients, likelihood modules."""

import pytest
import torch
from torch import nn

from mixvi.distributions import (
    Bernoulli,
    BernoulliLikelihood,
    CountRate,
    NegativeBinomial,
    NegativeBinomialLikelihood,
    Normal,
    NormalLikelihood,
    Poisson,
    PoissonLikelihood,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedNegativeBinomialLikelihood,
)

pytestmark = [
    pytest.mark.law,
    pytest.mark.filterwarnings("ignore:Sparse CS[RC] tensor support is in beta"),
]

N_CELLS, N_GENES, N_HIDDEN = 6, 9, 4


def parameters(name, samples=(), dtype=torch.float32):
    """Leaves that a distribution is made of, and the function that makes it."""
    generator = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    shape = (*samples, N_CELLS, N_GENES)
    leaves, make = {
        "nb": (
            (normal(*shape), normal(N_GENES)),
            lambda a, b: NegativeBinomial(a.exp(), b.exp()),
        ),
        "nb_theta_of_cells": (
            (normal(*shape), normal(*shape)),
            lambda a, b: NegativeBinomial(a.exp(), b.exp()),
        ),
        "zinb": (
            (normal(*shape), normal(N_GENES), normal(*shape)),
            lambda a, b, c: ZeroInflatedNegativeBinomial(a.exp(), b.exp(), c),
        ),
        "poisson": ((normal(*shape),), lambda a: Poisson(a.exp())),
        "normal": ((normal(*shape), normal(N_GENES)), lambda a, b: Normal(a, b.exp())),
        "bernoulli": ((normal(*shape),), Bernoulli),
    }[name]
    return [leaf.requires_grad_() for leaf in leaves], make


DISTRIBUTIONS = ["nb", "nb_theta_of_cells", "zinb", "poisson", "normal", "bernoulli"]


def data(name, dtype=torch.float32):
    generator = torch.Generator().manual_seed(2)
    rate = torch.rand(N_CELLS, N_GENES, generator=generator, dtype=dtype) * 3
    x = torch.poisson(rate, generator=generator)
    x[0] = 0  # a cell without counts
    return x.clamp(max=1) if name == "bernoulli" else x


def layouts(x):
    return {"dense": x, "csr": x.to_sparse_csr(), "csc": x.to_sparse_csc()}


@pytest.mark.parametrize("layout", ["dense", "csr", "csc"])
@pytest.mark.parametrize("samples", [(), (3,), (2, 3)])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_cell_log_prob_is_the_sum_over_genes(name, samples, layout):
    leaves, make = parameters(name, samples)
    x = data(name)
    # the slow way in double precision: in single it is the less precise of the two
    precise = [leaf.detach().double().requires_grad_() for leaf in leaves]
    slow = make(*precise).log_prob(x.double()).sum(-1)
    slow_gradients = torch.autograd.grad(slow.sum(), precise)
    fast = make(*leaves).cell_log_prob(layouts(x)[layout])
    assert fast.shape == (*samples, N_CELLS)
    torch.testing.assert_close(fast.double(), slow, rtol=1e-5, atol=1e-5)
    for g_fast, g_slow in zip(torch.autograd.grad(fast.sum(), leaves), slow_gradients, strict=True):
        torch.testing.assert_close(g_fast.double(), g_slow, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_stored_zeros_are_zeros(name):
    leaves, make = parameters(name, dtype=torch.float64)
    x = data(name, torch.float64)
    stored = torch.ones_like(x).to_sparse_csr()
    stored = torch.sparse_csr_tensor(
        stored.crow_indices(),
        stored.col_indices(),
        x.flatten(),
        size=x.shape,
        check_invariants=True,
    )
    p = make(*leaves)
    torch.testing.assert_close(p.cell_log_prob(stored), p.log_prob(x).sum(-1))


@pytest.mark.parametrize("name", ["nb", "nb_theta_of_cells", "zinb", "poisson", "bernoulli"])
def test_gradients_are_those_of_finite_differences(name):
    leaves, make = parameters(name, dtype=torch.float64)
    x = data(name, torch.float64)
    assert torch.autograd.gradcheck(lambda *values: make(*values).cell_log_prob(x), leaves)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_moments_are_those_of_the_draws(name):
    leaves, make = parameters(name)
    torch.manual_seed(0)
    with torch.no_grad():
        p = make(*leaves)
        n = 40_000
        draws = p.sample((n,)).double()
        mean, variance = p.mean.double(), p.variance.double()
        standard_error = (variance / n).sqrt()
        assert ((draws.mean(0) - mean).abs() < 5 * standard_error).all()
        fourth = (draws - mean).pow(4).mean(0)
        error_of_variance = ((fourth - variance.square()).clamp(min=0) / n).sqrt()
        assert ((draws.var(0) - variance).abs() < 6 * error_of_variance + 1e-3).all()


@pytest.mark.parametrize("name", ["nb", "zinb", "poisson"])
def test_get_normalized(name):
    shape = (N_CELLS, N_GENES)
    mu, scale = torch.full(shape, 5.0), torch.full(shape, 0.5)
    p = {
        "nb": lambda: NegativeBinomial(mu, torch.ones(N_GENES), scale),
        "zinb": lambda: ZeroInflatedNegativeBinomial(
            mu, torch.ones(N_GENES), torch.zeros(shape), scale
        ),
        "poisson": lambda: Poisson(mu, scale),
    }[name]()
    assert p.get_normalized("scale") is scale
    torch.testing.assert_close(p.get_normalized("mu"), p.mean)
    with pytest.raises(ValueError, match="expected 'scale' or 'mu', found 'rate'"):
        p.get_normalized("rate")


@pytest.mark.parametrize("key", ["scale", "mu"])
def test_get_normalized_of_what_has_no_depth(key):
    loc = torch.randn(N_CELLS, N_GENES)
    torch.testing.assert_close(Normal(loc, torch.ones(N_GENES)).get_normalized(key), loc)
    torch.testing.assert_close(Bernoulli(loc).get_normalized(key), loc.sigmoid())


LIKELIHOODS = {
    "nb": NegativeBinomialLikelihood,
    "zinb": ZeroInflatedNegativeBinomialLikelihood,
    "poisson": PoissonLikelihood,
    "normal": NormalLikelihood,
    "bernoulli": BernoulliLikelihood,
}
COUNTS = ["nb", "zinb", "poisson"]


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_every_parameter_gets_a_gradient(name):
    likelihood = LIKELIHOODS[name](N_HIDDEN, N_GENES)
    h = torch.randn(N_CELLS, N_HIDDEN, requires_grad=True)
    likelihood(h, torch.full((N_CELLS, 1), 2.0)).cell_log_prob(data(name)).sum().backward()
    for label, leaf in [*likelihood.named_parameters(), ("h", h)]:
        assert leaf.grad is not None, label
        assert leaf.grad.isfinite().all(), label
        assert leaf.grad.abs().sum() > 0, label


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_only_counts_need_counts(name):
    assert LIKELIHOODS[name].is_count == (name in COUNTS)


@pytest.mark.parametrize("samples", [(), (3,)])
@pytest.mark.parametrize("name", COUNTS)
def test_shares_sum_to_one_and_scale_with_depth(name, samples):
    likelihood = LIKELIHOODS[name](N_HIDDEN, N_GENES).double()
    h = torch.randn(*samples, N_CELLS, N_HIDDEN, dtype=torch.float64)
    log_depth = torch.randn(*samples, N_CELLS, 1, dtype=torch.float64)
    p = likelihood(h, log_depth)
    one = torch.ones(*samples, N_CELLS, dtype=torch.float64)
    torch.testing.assert_close(p.scale.sum(-1), one)
    torch.testing.assert_close(p.mu, log_depth.exp() * p.scale)


@pytest.mark.parametrize("name", COUNTS)
def test_with_size_factors_rates_are_softplus(name):
    likelihood = LIKELIHOODS[name](N_HIDDEN, N_GENES, shares=False)
    rate = next(part for part in likelihood.modules() if isinstance(part, CountRate))
    h = torch.randn(N_CELLS, N_HIDDEN)
    p = likelihood(h, torch.zeros(N_CELLS, 1))
    torch.testing.assert_close(p.scale, nn.functional.softplus(rate.logits(h)))
    torch.testing.assert_close(p.mu, p.scale)


@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("logit", [0.0, 60.0, -60.0])
@pytest.mark.parametrize("name", COUNTS)
def test_extreme_counts_stay_finite(name, logit, layout):
    likelihood = LIKELIHOODS[name](N_HIDDEN, 4)
    x = torch.tensor([[0.0, 0, 0, 1], [1e6, 0, 1, 0], [1e6, 1e6, 1e6, 1e6], [1, 1, 1, 1]])
    h = torch.randn(4, N_HIDDEN)
    with torch.no_grad():  # one gene takes all shares, or none
        next(p for p in likelihood.modules() if isinstance(p, CountRate)).logits.bias[0] = logit
    log_prob = likelihood(h, x.sum(-1, keepdim=True).log()).cell_log_prob(layouts(x)[layout])
    assert log_prob.isfinite().all()
    log_prob.sum().backward()
    for label, parameter in likelihood.named_parameters():
        assert parameter.grad.isfinite().all(), label


@pytest.mark.parametrize("theta", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("name", ["nb", "zinb"])
def test_extreme_dispersions_stay_finite(name, theta):
    x = torch.tensor([[0.0, 1.0, 1e6]])
    log_mu = torch.tensor([[-15.0, 0.0, 13.0]], requires_grad=True)
    log_theta = torch.full((3,), theta).log().requires_grad_()
    logits = torch.zeros(1, 3, requires_grad=True)
    arguments = (log_mu.exp(), log_theta.exp())
    p = NegativeBinomial(*arguments)
    if name == "zinb":
        p = ZeroInflatedNegativeBinomial(*arguments, logits)
    log_prob = p.cell_log_prob(x)
    log_prob.sum().backward()
    assert log_prob.isfinite().all()
    assert log_mu.grad.isfinite().all()
    assert log_theta.grad.isfinite().all()
