"""Lemmas 1 and 4 and Remark 2 of docs/user_guide/lemmas.md, in double precision.

Each is stated with a neighbor of it that is false, so that the tests have power.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.priors.draws import SEEDS, cells, generator, responsibilities, shares, unit_components
from torch.distributions import Normal, kl_divergence

from mixvi.distributions import Components
from mixvi.priors import DirichletMixture, UniformWeights, bhattacharyya

pytestmark = pytest.mark.law

# Lemma 1: soft k-means ---------------------------------------------------------------------------


def pull(components, m, scale, q):
    """The slope in μ of −Σ_n Σ_k q_nk KL(N(m_n, s_n²) ‖ N(μ_k, I)), by autograd."""
    loss = (q * components.kl(Normal(m, scale))).sum()
    (gradient,) = torch.autograd.grad(-loss, components.loc)
    return gradient


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_lemma_1_pull_is_the_weighted_sum_of_deviations(seed):
    m, q = cells(seed), responsibilities(seed)
    scale = 0.1 + cells(seed + 3).abs()
    components = unit_components(cells(seed + 4, 4))
    loc = components.loc.detach()
    expected = (q[..., None] * (m[:, None] - loc)).sum(0)
    torch.testing.assert_close(pull(components, m, scale, q), expected)
    # the variance of q(z | x) has no part in it, the responsibilities have
    torch.testing.assert_close(pull(components, m, 2 * scale, q), expected)
    assert not torch.allclose(pull(components, m, scale, q.square()), expected)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_lemma_1_stationary_point_is_the_weighted_mean(seed):
    m, q = cells(seed), responsibilities(seed)
    scale = torch.ones_like(m)
    mean = q.T @ m / q.sum(0)[:, None]
    at_mean = pull(unit_components(mean), m, scale, q)
    torch.testing.assert_close(at_mean, torch.zeros_like(mean), atol=1e-10, rtol=0)
    hard = torch.stack([m[q.argmax(-1) == k].sum(0) for k in range(4)])
    assert pull(unit_components(hard), m, scale, q).abs().max() > 1e-3
    # a maximum, and the only one: the slope at a distance δ is −(Σ_n q_nk) δ
    away = pull(unit_components(mean + 1), m, scale, q)
    torch.testing.assert_close(away, -q.sum(0)[:, None].expand_as(away))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_lemma_1_holds_for_an_encoder_of_every_component(seed):
    """The draft's q(z | x, y): component k sees its own m_nk."""
    m = cells(seed, 12 * 4).view(12, 4, 3)
    q = responsibilities(seed)
    loc = (q[..., None] * m).sum(0) / q.sum(0)[:, None]
    loc.requires_grad_()
    scale = torch.full_like(m, 0.5)
    kl = kl_divergence(Normal(m, scale), Normal(loc, torch.ones_like(loc))).sum(-1)
    (gradient,) = torch.autograd.grad((q * kl).sum(), loc)
    torch.testing.assert_close(gradient, torch.zeros_like(loc), atol=1e-10, rtol=0)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_lemma_1_raw_step_is_as_large_as_the_component(seed):
    """η per step: deviations shrink by 1 − ηπ_k, by 1 − η if divided by the component's mass."""
    eta, m, q = 0.3, cells(seed), responsibilities(seed)
    mean = q.T @ m / q.sum(0)[:, None]
    start = mean + cells(seed + 5, 4)
    slope = pull(unit_components(start), m, torch.ones_like(m), q)
    share = q.mean(0)[:, None]
    raw = start + eta * slope / len(m)
    normalized = start + eta * slope / q.sum(0)[:, None]
    torch.testing.assert_close(raw - mean, (1 - eta * share) * (start - mean))
    torch.testing.assert_close(normalized - mean, (1 - eta) * (start - mean))


def test_lemma_1_small_components_are_late_without_normalization():
    m = torch.cat([cells(0, 99), cells(1, 1)])
    q = torch.zeros(100, 2, dtype=torch.float64)
    q[:99, 0] = q[99:, 1] = 1
    mean = q.T @ m / q.sum(0)[:, None]
    left = {}
    for name, mass in [("raw", 100.0), ("normalized", q.sum(0)[:, None])]:
        loc = mean + 1
        for _ in range(50):
            slope = pull(unit_components(loc), m, torch.ones_like(m), q)
            loc = loc + 0.1 * slope / mass
        left[name] = (loc - mean).norm(dim=-1) / 3**0.5
    assert left["raw"][0] < 0.01
    assert left["raw"][1] > 0.9
    assert (left["normalized"] < 0.01).all()


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_lemma_1_holds_where_the_responsibilities_follow_the_means(seed):
    """The slope of the log marginal likelihood is the pull at fixed q: q is at its best."""
    z, weights = cells(seed), shares(seed)
    loc = cells(seed + 4, 4).requires_grad_()
    joint = weights.log() + Normal(loc, torch.ones_like(loc)).log_prob(z[:, None]).sum(-1)
    (slope,) = torch.autograd.grad(joint.logsumexp(-1).sum(), loc)
    q = joint.detach().softmax(-1)
    torch.testing.assert_close(slope, (q[..., None] * (z[:, None] - loc.detach())).sum(0))


# Remark 2: VaDE ----------------------------------------------------------------------------------


def mixture_terms(seed, n=12, k=4, d=3):
    z, weights = cells(seed, n, d), shares(seed, k)
    loc = cells(seed + 4, k, d)
    variance = 0.3 + torch.rand(k, d, generator=generator(seed + 5), dtype=torch.float64)
    qz = Normal(cells(seed + 6, n, d), 0.2 + cells(seed + 7, n, d).abs())
    log_qz = qz.log_prob(z).sum(-1)
    log_components = Normal(loc, variance.sqrt()).log_prob(z[:, None]).sum(-1)
    return log_qz, log_components, weights


def sampled_terms(q, log_qz, log_components, weights):
    """Σ_k q_k [log q(z|x) − log N_k(z)] + KL(q ‖ π)."""
    kl_z = (q * (log_qz[:, None] - log_components)).sum(-1)
    return kl_z + (q * (q / weights).log()).sum(-1)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_remark_2_the_component_sums_out_at_bayes_rule(seed):
    log_qz, log_components, weights = mixture_terms(seed)
    joint = weights.log() + log_components
    summed_out = log_qz - joint.logsumexp(-1)
    terms = sampled_terms(joint.softmax(-1), log_qz, log_components, weights)
    torch.testing.assert_close(terms, summed_out, rtol=1e-10, atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_remark_2_any_other_rule_costs_its_divergence_from_bayes(seed):
    log_qz, log_components, weights = mixture_terms(seed)
    joint = weights.log() + log_components
    q = responsibilities(seed + 8)
    gap = (q * (q.log() - joint.log_softmax(-1))).sum(-1)
    terms = sampled_terms(q, log_qz, log_components, weights)
    torch.testing.assert_close(terms, log_qz - joint.logsumexp(-1) + gap)
    assert (gap > 0).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_remark_2_holds_for_the_prior_of_the_package(seed):
    """DirichletMixture without style, Dirichlet and classifier, π = 1/K."""
    prior = DirichletMixture(Components(4, 3), UniformWeights(4)).double()
    z, c = cells(seed), cells(seed, d=0)
    with torch.no_grad():
        prior.components.loc.copy_(cells(seed + 4, 4))
        prior.components.log_variance.copy_(0.3 * cells(seed + 5, 4))
    # the closed form of KL(q(z | x) ‖ N_k) is that of a sample where q(z | x) has no width, up to
    # the entropy of q(z | x), which is the same in every component
    qz = Normal(z, torch.full_like(z, 1e-6))
    entropy = qz.entropy().sum(-1)
    terms = prior.divergence(qz, z, z, c)
    total = terms["kl_z"] + terms["kl_y"]
    torch.testing.assert_close(total, -entropy - prior.log_prob(z, c), rtol=1e-8, atol=1e-8)


# Lemma 4: separate components mean sure cells ----------------------------------------------------


def uncertainty(p):
    return 1 - p.max(-1).values


def pairs(p):
    """Σ_{k<l} √(p_k p_l)."""
    root = p.sqrt()
    return (root.sum(-1).square() - p.sum(-1)) / 2


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, k=st.integers(2, 6))
def test_lemma_4_cell_by_cell(seed, k):
    p = responsibilities(seed, k=k)
    assert (uncertainty(p) <= pairs(p)).all()
    near_uniform = torch.full((1, k), 1 / k, dtype=torch.float64)
    assert uncertainty(near_uniform) > pairs(near_uniform.square())  # no bound without the root


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lemma_4_on_average_by_quadrature(seed):
    weights, loc = shares(seed, 3), 2 * cells(seed, 3, 1)
    variance = 0.3 + torch.rand(3, 1, generator=generator(seed + 5), dtype=torch.float64)
    z = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    joint = weights * Normal(loc[:, 0], variance[:, 0].sqrt()).log_prob(z[:, None]).exp()
    density = joint.sum(-1)
    p = (joint / density[:, None]).nan_to_num(1 / 3)
    overlap = (weights.outer(weights).sqrt() * bhattacharyya(loc, variance)).triu(1).sum()
    torch.testing.assert_close(torch.trapezoid(density * pairs(p), z), overlap)
    assert 0.001 < torch.trapezoid(density * uncertainty(p), z) <= overlap


@pytest.mark.parametrize("distance", [0.5, 2.0, 4.0, 6.0])
def test_lemma_4_for_two_normals(distance):
    loc = torch.tensor([[0.0], [distance]], dtype=torch.float64)
    b = bhattacharyya(loc, torch.ones_like(loc))[0, 1]
    error = Normal(0.0, 1.0).cdf(torch.tensor(-distance / 2, dtype=torch.float64))
    assert error <= b / 2
    if distance >= 4:
        assert error > b.square() / 2  # the exponent cannot be better than that of b
