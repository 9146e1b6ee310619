"""Repulsion of components: closed forms, and what pushes what where."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.distributions import Normal

from mixvi.priors import (
    HellingerRepulsion,
    MeansRepulsion,
    MMDRepulsion,
    bhattacharyya,
    kernel_means,
    repulsion,
)

pytestmark = pytest.mark.law

NAMES = ["mmd", "means", "hellinger", "dpp"]
EPSILON = 1e-6


def components(k=4, d=3, *, spread=2.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    loc = spread * torch.randn(k, d, generator=generator, dtype=torch.float64)
    variance = 0.3 + torch.rand(k, d, generator=generator, dtype=torch.float64)
    return loc, variance


def bandwidth(variance):
    return variance.shape[1] * variance.mean()


def by_pairs(separation, offset):
    """The formula, with a loop."""
    k = len(separation)
    pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]
    terms = [math.log((separation[i][j] + EPSILON) / (offset + separation[i][j])) for i, j in pairs]
    return sum(terms) / k


# separations against oracles ---------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_mmd_is_that_of_monte_carlo(seed):
    loc, variance = components(3, spread=1.0, seed=seed)
    torch.manual_seed(seed)
    n = 100_000
    z, other = (Normal(loc, variance.sqrt()).sample((n,)) for _ in range(2))
    s2 = bandwidth(variance)

    def kernel(k, j):
        return (-(z[:, k] - other[:, j]).square().sum(-1) / (2 * s2)).exp()

    separation = MMDRepulsion().separation(loc, variance)
    for k, j in [(0, 1), (0, 2), (1, 2)]:
        draws = kernel(k, k) + kernel(j, j) - kernel(k, j) - kernel(j, k)
        error = draws.std() / n**0.5
        assert abs(draws.mean() - separation[k, j]) < 4 * error
        assert separation[k, j] > 20 * error  # else the line above could not fail


def test_bhattacharyya_is_the_integral():
    loc, variance = components(4, 1, spread=1.0)
    found = bhattacharyya(loc, variance)
    densities = [
        stats.norm(m.item(), s.item() ** 0.5).pdf for m, s in zip(loc, variance, strict=True)
    ]
    for k, p in enumerate(densities):
        for j, q in enumerate(densities):
            exact, _ = integrate.quad(lambda x, p=p, q=q: np.sqrt(p(x) * q(x)), -30, 30, limit=200)
            assert found[k, j].item() == pytest.approx(exact, rel=1e-7)


def test_bhattacharyya_of_axes_multiplies_and_hellinger_is_one_minus_it():
    loc, variance = components(4, 3)
    axes = [bhattacharyya(loc[:, [j]], variance[:, [j]]) for j in range(3)]
    torch.testing.assert_close(bhattacharyya(loc, variance), axes[0] * axes[1] * axes[2])
    separation = HellingerRepulsion().separation(loc, variance)
    torch.testing.assert_close(separation, 1 - axes[0] * axes[1] * axes[2], atol=1e-12, rtol=1e-9)


def test_means_are_measured_in_pooled_standard_deviations():
    loc = torch.tensor([[0.0, 0.0], [6.0, 0.0], [0.0, 8.0]], dtype=torch.float64)
    variance = torch.tensor([[3.0, 1.0], [4.0, 4.0], [5.0, 7.0]], dtype=torch.float64)
    separation = MeansRepulsion().separation(loc, variance)  # pooled: 4 and 4
    expected = torch.tensor([[0.0, 3.0, 4.0], [3.0, 0.0, 5.0], [4.0, 5.0, 0.0]])
    torch.testing.assert_close(separation, expected.double(), atol=1.1e-3, rtol=1e-6)


# log h -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [MMDRepulsion, MeansRepulsion, HellingerRepulsion])
@pytest.mark.parametrize("offset", [0.1, 0.5])
def test_log_h_is_the_sum_over_pairs(form, offset):
    loc, variance = components(5)
    rule = form(offset)
    expected = by_pairs(rule.separation(loc, variance).tolist(), offset)
    assert rule(loc, variance).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_dpp_is_the_log_determinant(seed):
    loc, variance = components(5, spread=0.7, seed=seed)
    kernel = (bhattacharyya(loc, variance) + 1e-4 * torch.eye(5)) / (1 + 1e-4)
    eigenvalues = np.linalg.eigvalsh(kernel.numpy())
    found = repulsion("dpp")(loc, variance)
    assert found.item() == pytest.approx(np.log(eigenvalues).sum() / 5, rel=1e-9)
    torch.testing.assert_close(found, torch.logdet(kernel) / 5)
    assert found < -0.05


def test_dpp_of_two_components_is_their_pair():
    loc, variance = components(2, spread=0.5)
    b = bhattacharyya(loc, variance)[0, 1].item() / (1 + 1e-4)
    assert repulsion("dpp")(loc, variance).item() == pytest.approx(math.log(1 - b**2) / 2)


def test_dpp_sees_more_than_pairs_where_one_component_lies_between_others():
    loc = torch.tensor([[-0.5], [0.0], [0.5]], dtype=torch.float64)
    variance = torch.ones(3, 1, dtype=torch.float64)
    b = bhattacharyya(loc, variance)
    by_pair = sum(math.log(1 - b[k, j].item() ** 2) for k, j in [(0, 1), (0, 2), (1, 2)])
    assert 3 * repulsion("dpp")(loc, variance).item() < by_pair


@pytest.mark.parametrize("name", NAMES)
def test_bounds(name):
    rule = repulsion(name)
    for spread in (0.0, 1e-4, 1.0, 100.0):
        value = rule(*components(spread=spread))
        assert value.isfinite()
        assert value <= 0
    same = torch.zeros(4, 3, dtype=torch.float64), torch.ones(4, 3, dtype=torch.float64)
    assert rule(*same) < rule(*components(spread=0.3)) < rule(*components(spread=10.0))
    assert rule(*components(k=1)) == 0


def test_values_of_coinciding_and_of_separate_components():
    ones = torch.ones(3, 2, dtype=torch.float64)
    far = 1e3 * torch.arange(6, dtype=torch.float64).view(3, 2)
    assert repulsion("dpp")(far, ones).item() == pytest.approx(0, abs=1e-12)
    assert repulsion("hellinger")(far, ones).item() == pytest.approx(-math.log(1.25), abs=2e-6)
    e = 2 / 4  # dim 2, s² = 2: (s²/(s² + 2))^(2/2)
    expected = math.log((2 * e + EPSILON) / (0.25 + 2 * e))
    assert repulsion("mmd")(far, ones).item() == pytest.approx(expected)
    assert repulsion("hellinger")(0 * far, ones).item() == pytest.approx(math.log(EPSILON / 0.25))
    assert repulsion("means")(0 * far, ones).item() == pytest.approx(math.log(1e-3), abs=3e-3)


# symmetries --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_names_of_components_and_place_and_unit_of_the_space_do_not_matter(name, seed):
    loc, variance = components(5, seed=seed)
    rule = repulsion(name)
    value = rule(loc, variance)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(rule(loc[order], variance[order]), value)
    torch.testing.assert_close(rule(loc + torch.tensor([7.0, -3.0, 50.0]), variance), value)
    torch.testing.assert_close(rule(10 * loc, 100 * variance), value)
    assert not torch.isclose(rule(2 * loc, variance), value)


@pytest.mark.parametrize("name", ["means", "hellinger", "dpp"])
def test_unit_of_one_axis_does_not_matter(name):
    loc, variance = components(5)
    scale = torch.tensor([0.1, 1.0, 30.0], dtype=torch.float64)
    rule = repulsion(name)
    torch.testing.assert_close(rule(scale * loc, scale.square() * variance), rule(loc, variance))


def test_unit_of_one_axis_does_matter_to_the_round_kernel():
    loc, variance = components(5)
    scale = torch.tensor([0.1, 1.0, 30.0], dtype=torch.float64)
    rule = repulsion("mmd")
    stretched = rule(scale * loc, scale.square() * variance)
    assert (stretched - rule(loc, variance)).abs() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_one_row_of_variances_serves_all(name):
    loc, variance = components(4)
    rule = repulsion(name)
    tied = variance[:1].clone().requires_grad_()
    each = variance[:1].repeat(4, 1).requires_grad_()
    torch.testing.assert_close(rule(loc, tied), rule(loc, each))
    if name != "means":
        (found,) = torch.autograd.grad(rule(loc, tied), tied)
        (expected,) = torch.autograd.grad(rule(loc, each), each)
        torch.testing.assert_close(found, expected.sum(0, keepdim=True))


# slopes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_slope_in_the_means_is_the_numerical_one(name, seed):
    loc, variance = components(seed=seed)
    rule = repulsion(name)
    assert torch.autograd.gradcheck(lambda loc: rule(loc, variance), loc.requires_grad_())


@pytest.mark.parametrize("name", ["hellinger", "dpp"])
def test_slope_in_the_variances_is_the_numerical_one(name):
    loc, variance = components()
    rule = repulsion(name)
    assert torch.autograd.gradcheck(lambda v: rule(loc, v), variance.requires_grad_())


def test_slope_in_the_variances_is_that_at_a_fixed_unit():
    loc, variance = components()
    s2 = bandwidth(variance)

    def at_fixed_unit(v):
        kernel = kernel_means(loc, v, s2)
        own = kernel.diagonal()
        d = own[:, None] + own[None] - 2 * kernel
        d = d[tuple(torch.triu_indices(4, 4, 1))]
        return ((d + EPSILON) / (0.25 + d)).log().sum() / 4

    assert torch.autograd.gradcheck(at_fixed_unit, variance.requires_grad_())
    (expected,) = torch.autograd.grad(at_fixed_unit(variance), variance)
    (found,) = torch.autograd.grad(repulsion("mmd")(loc, variance), variance)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", NAMES)
def test_close_components_are_pushed_apart_along_the_line_between_them(name):
    variance = torch.ones(2, 2, dtype=torch.float64)
    for distance in (1e-3, 0.1, 1.0, 2.0):
        loc = torch.tensor([[-distance / 2, 0.0], [distance / 2, 0.0]], dtype=torch.float64)
        (push,) = torch.autograd.grad(repulsion(name)(loc.requires_grad_(), variance), loc)
        torch.testing.assert_close(push[0], -push[1])
        assert push[1, 0] > 0.01
        assert push[1, 1] == 0


@pytest.mark.parametrize("name", NAMES)
def test_push_on_the_means_ends_far_apart(name):
    variance = torch.ones(2, 2, dtype=torch.float64)

    def push(distance):
        loc = torch.tensor([[0.0, 0.0], [distance, 0.0]], dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(repulsion(name)(loc, variance), loc)
        return gradient[1, 0].item()

    near, far = push(1.0), push(50.0)
    assert 0 <= far < (1e-2 if name == "means" else 1e-30) * near


@pytest.mark.parametrize(
    ("name", "pushes", "limit"),
    [
        ("mmd", [9.95, 0.866, 0.308, 0.069, 0.0062], -0.14),
        ("means", [4.54, 0.250, 0.083, 0.025, 0.0069], 0.0),
        ("hellinger", [9.94, 0.639, 0.150, 0.018, 0.0001], -0.11),
        ("dpp", [9.25, 0.879, 0.291, 0.019, 0.0000], 0.0),
    ],
)
def test_numbers_of_the_documentation(name, pushes, limit):
    rule, ones = repulsion(name), torch.ones(2, 10, dtype=torch.float64)
    for distance, expected in zip([0.1, 1.0, 2.0, 4.0, 8.0], pushes, strict=True):
        loc = torch.zeros(2, 10, dtype=torch.float64)
        loc[1, 0] = distance
        (push,) = torch.autograd.grad(rule(loc.requires_grad_(), ones), loc)
        assert push[1, 0].item() == pytest.approx(expected, rel=0.03, abs=6e-5)
    far = 1e4 * torch.arange(2, dtype=torch.float64)[:, None].expand(2, 10)
    assert rule(far, ones).item() == pytest.approx(limit, abs=6e-3)


@pytest.mark.parametrize("name", NAMES)
def test_ascent_parts_components_that_all_but_coincide(name):
    loc, variance = components(3, 2, spread=1e-2)
    variance = torch.ones_like(variance)
    loc.requires_grad_()
    optimizer = torch.optim.Adam([loc], lr=0.05, betas=(0.9, 0.9))  # forgets the first big slopes
    before = bhattacharyya(loc, variance).triu(1).max().item()
    for _ in range(200):
        optimizer.zero_grad()
        (-repulsion(name)(loc, variance)).backward()
        optimizer.step()
    assert before > 0.99
    assert bhattacharyya(loc, variance).triu(1).max() < 0.3


@pytest.mark.parametrize("name", ["mmd", "hellinger", "dpp"])
def test_concentric_components_are_parted_by_their_variances(name):
    loc = torch.zeros(2, 2, dtype=torch.float64)
    variance = torch.tensor([[0.9, 0.9], [1.1, 1.1]], dtype=torch.float64, requires_grad=True)
    (push,) = torch.autograd.grad(repulsion(name)(loc, variance), variance)
    assert (push[0] < 0).all()
    assert (push[1] > 0).all()


def test_means_repulsion_leaves_variances_alone():
    loc, variance = components()
    loc.requires_grad_()
    variance.requires_grad_()
    value = repulsion("means")(loc, variance)
    found = torch.autograd.grad(value, [loc, variance], allow_unused=True)
    assert found[0].abs().sum() > 0
    assert found[1] is None


def test_far_components_stop_pushing_each_others_variances_but_for_mmd():
    variance = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    loc = torch.tensor([[0.0, 0.0], [100.0, 0.0]], dtype=torch.float64)
    for name, limit in [("hellinger", 1e-30), ("dpp", 1e-30)]:
        (push,) = torch.autograd.grad(repulsion(name)(loc, variance), variance)
        assert push.abs().max() < limit
    (push,) = torch.autograd.grad(repulsion("mmd")(loc, variance), variance)
    assert (push < -1e-3).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spread", [0.0, 1e-6, 1e-3, 1.0, 30.0])
def test_single_precision_is_finite_and_agrees(name, spread):
    loc, variance = components(30, 10, spread=spread)
    if spread == 0.0:
        variance = torch.ones_like(variance)  # all components equal
    exact = repulsion(name)(loc, variance)
    loc, variance = loc.float().requires_grad_(), variance.float().requires_grad_()
    value = repulsion(name)(loc, variance)
    value.backward()
    assert loc.grad.isfinite().all()
    if name != "means":
        assert variance.grad.isfinite().all()
    torch.testing.assert_close(value.double(), exact, rtol=0.02, atol=1e-5)


def test_form_by_name():
    assert isinstance(repulsion("mmd"), MMDRepulsion)
    assert isinstance(repulsion("means"), MeansRepulsion)
    assert isinstance(repulsion("hellinger"), HellingerRepulsion)
    for name in NAMES:
        assert not list(repulsion(name).parameters())
