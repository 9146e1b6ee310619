"""Lemma 3 of docs/user_guide/lemmas.md in double precision: repulsion is dependence.

Each part is stated with a neighbor of it that is false, so that the tests have power.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.priors.draws import SEEDS, cells, generator, responsibilities, shares, unit_components
from torch.distributions import Normal, kl_divergence

from mixvi.priors import hsic, kernel_means

pytestmark = pytest.mark.law


def gaussian_kernel(z, s2):
    return (-torch.cdist(z, z).square() / (2 * s2)).exp()


def any_kernel(seed, n=12):
    factor = cells(seed + 9, n, 5)
    return factor @ factor.T


def label_kernel(q):
    return q / q.mean(0) @ q.T


def mmd_between_clusters(kernel, q):
    """Σ_{k<l} π_kπ_l MMD²(P_k, P_l) by loops, P_k the cells with weights q_nk / Σ_n q_nk."""
    p = q / q.sum(0)
    share = q.mean(0)
    total = torch.zeros((), dtype=q.dtype)
    for k in range(q.shape[1]):
        for other in range(k):
            difference = p[:, k] - p[:, other]
            total = total + share[k] * share[other] * (difference @ kernel @ difference)
    return total


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, k=st.integers(2, 6), kind=st.sampled_from(["gaussian", "linear", "any"]))
def test_lemma_3_for_soft_responsibilities_and_any_kernel(seed, k, kind):
    z, q = cells(seed), responsibilities(seed, k=k)
    kernels = {"gaussian": gaussian_kernel(z, 2.0), "linear": z @ z.T, "any": any_kernel(seed)}
    kernel = kernels[kind]
    dependence = hsic(kernel, label_kernel(q))
    torch.testing.assert_close(dependence, mmd_between_clusters(kernel, q), rtol=1e-10, atol=1e-10)
    # 1/π in the label kernel is what makes it so
    assert not torch.isclose(hsic(kernel, q @ q.T), dependence, rtol=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_lemma_3_for_hard_clusters_is_the_sum_over_pairs_of_cells(seed):
    z = cells(seed)
    labels = torch.tensor([0] * 3 + [1] * 4 + [2] * 5)
    q = torch.nn.functional.one_hot(labels).double()
    kernel = gaussian_kernel(z, 2.0)
    total = 0.0
    for k, other in [(0, 1), (0, 2), (1, 2)]:
        a, b = labels == k, labels == other
        mmd = kernel[a][:, a].mean() + kernel[b][:, b].mean() - 2 * kernel[a][:, b].mean()
        total = total + a.double().mean() * b.double().mean() * mmd
    torch.testing.assert_close(hsic(kernel, label_kernel(q)), total)


def test_lemma_3_no_dependence_where_all_cells_are_alike_to_the_components():
    z = cells(0)
    q = shares(0).expand(12, 4)
    assert hsic(gaussian_kernel(z, 2.0), label_kernel(q)).abs() < 1e-15
    assert hsic(gaussian_kernel(z, 2.0), label_kernel(responsibilities(0))) > 1e-3


def scatter(z, q):
    """Traces of the total, within and between scatter of soft clusters."""
    mean = q.T @ z / q.sum(0)[:, None]
    total = (z - z.mean(0)).square().sum()
    within = (q * (z[:, None] - mean).square().sum(-1)).sum()
    between = (q.sum(0) * (mean - z.mean(0)).square().sum(-1)).sum()
    return total, within, between


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_linear_kernel_gives_the_scatter_between_clusters(seed):
    z, q = cells(seed), responsibilities(seed)
    total, within, between = scatter(z, q)
    torch.testing.assert_close(hsic(z @ z.T, label_kernel(q)), between / len(z))
    torch.testing.assert_close(total, within + between)
    assert between > 1e-6 * total


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_scatter_matrices_add_up_too(seed):
    z, q = cells(seed), responsibilities(seed)
    mean = q.T @ z / q.sum(0)[:, None]
    centered, apart = z - z.mean(0), z[:, None] - mean
    within = torch.einsum("nk,nki,nkj->ij", q, apart, apart)
    shift = mean - z.mean(0)
    between = torch.einsum("k,ki,kj->ij", q.sum(0), shift, shift)
    torch.testing.assert_close(centered.T @ centered, within + between)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_lemma_1_is_the_within_scatter_so_both_lemmas_are_one_sum(seed):
    """At its best means the kl term is W/2 plus what no mean can change; T is fixed, so is −B/2."""
    z, q = cells(seed), responsibilities(seed)
    _, within, between = scatter(z, q)
    mean = q.T @ z / q.sum(0)[:, None]
    scale = torch.full_like(z, 0.5)
    loss = (q * unit_components(mean).kl(Normal(z, scale))).sum()
    at_center = (q * unit_components(z.mean(0).expand(4, -1)).kl(Normal(z, scale))).sum()
    constant = kl_divergence(Normal(0 * z, scale), Normal(0.0, 1.0)).sum()
    torch.testing.assert_close(loss, within / 2 + constant)
    torch.testing.assert_close(at_center - loss, between / 2)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_merging_two_clusters_loses_their_share_of_the_dependence(seed):
    z, q = cells(seed), responsibilities(seed)
    kernel = gaussian_kernel(z, 2.0)
    merged = torch.cat([q[:, :1] + q[:, 1:2], q[:, 2:]], 1)
    lost = hsic(kernel, label_kernel(q)) - hsic(kernel, label_kernel(merged))
    p, share = q / q.sum(0), q.mean(0)
    difference = p[:, 0] - p[:, 1]
    mmd = difference @ kernel @ difference
    torch.testing.assert_close(lost, share[0] * share[1] / (share[0] + share[1]) * mmd)
    assert lost > 0
    assert not torch.isclose(lost, share[0] * share[1] * mmd)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_closed_form_for_normal_components_is_the_limit_of_many_cells(seed):
    """Draws of the mixture with their true components: E HSIC = Σ π_kπ_l D_kl + O(1/n)."""
    weights = shares(seed, 3)
    loc = cells(seed + 4, 3, 2)
    variance = 0.3 + torch.rand(3, 2, generator=generator(seed + 5), dtype=torch.float64)
    s2 = 2.0
    kernel = kernel_means(loc, variance, s2)
    own = kernel.diagonal()
    separation = own[:, None] + own[None] - 2 * kernel
    expected = (weights[:, None] * weights * separation).sum() / 2

    torch.manual_seed(seed)
    n, estimates = 1000, []
    for _ in range(30):
        y = torch.multinomial(weights, n, replacement=True)
        z = Normal(loc[y], variance[y].sqrt()).sample()
        q = torch.nn.functional.one_hot(y, 3).double()
        estimates.append(hsic(gaussian_kernel(z, s2), label_kernel(q)))
    estimates = torch.stack(estimates)
    # what the estimate has too much: the noise of the mean embeddings of clusters and of all cells
    excess = (2 - own.sum() + weights @ kernel @ weights) / n
    error = estimates.std() / 30**0.5
    assert abs(estimates.mean() - excess - expected) < 4 * error
    assert expected > 20 * error


def test_gaussian_kernel_sees_variances_where_the_linear_one_does_not():
    loc = torch.zeros(2, 2, dtype=torch.float64)
    variance = torch.tensor([[0.2, 0.2], [3.0, 3.0]], dtype=torch.float64)
    kernel = kernel_means(loc, variance, 2.0)
    linear = (loc[0] - loc[1]).square().sum()
    assert linear == 0
    assert kernel[0, 0] + kernel[1, 1] - 2 * kernel[0, 1] > 0.1
