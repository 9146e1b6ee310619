import copy

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from mixvi.distributions import Components, LowRankStyle, NetworkStyle

pytestmark = pytest.mark.law

K, D, W = 4, 3, 2
STYLES = {"none": None, "network": NetworkStyle, "low_rank": LowRankStyle}


def components(style="none", dtype=torch.float64):
    torch.manual_seed(0)
    made = Components(K, D, STYLES[style] and STYLES[style](W, K, D))
    with torch.no_grad():
        made.log_variance.normal_()
        if made.style is not None:
            made.style.network.last.weight.normal_(0, 64)
    return made.to(dtype)


@pytest.fixture
def qz():
    torch.manual_seed(1)
    loc, log_scale = torch.randn(2, 7, D, dtype=torch.float64)
    return Normal(loc, log_scale.exp())


def expand(q):
    return Normal(q.loc.unsqueeze(-2), q.scale.unsqueeze(-2))


@pytest.mark.parametrize("style", STYLES)
def test_kl_is_that_of_torch(style, qz):
    p, w = components(style), None if style == "none" else torch.randn(7, W).double()
    torch.testing.assert_close(p.kl(qz, w), kl_divergence(expand(qz), p(w)).sum(-1))


@pytest.mark.parametrize("samples", [(), (5,), (2, 5)])
@pytest.mark.parametrize("style", STYLES)
def test_log_prob_is_that_of_torch(style, samples):
    p = components(style)
    z = torch.randn(*samples, 7, D, dtype=torch.float64)
    w = None if style == "none" else torch.randn(*samples, 7, W, dtype=torch.float64)
    log_prob = p.log_prob(z, w)
    assert log_prob.shape == (*samples, 7, K)
    torch.testing.assert_close(log_prob, p(w).log_prob(z.unsqueeze(-2)).sum(-1))


@pytest.mark.parametrize("covariance", ["diag", "tied", "spherical", "unit"])
def test_log_prob_around_is_that_at_the_points(covariance, qz):
    torch.manual_seed(0)
    p = Components(K, D, covariance=covariance).double()
    with torch.no_grad():
        p.log_variance.normal_()
    points = torch.randn(5, D).double()
    z = qz.loc + qz.scale * points[:, None]
    torch.testing.assert_close(p.log_prob_around(qz, points), p.log_prob(z))


@pytest.mark.parametrize("style", ["network", "low_rank"])
def test_one_style_serves_many_samples_of_z(style):
    p = components(style)
    z, w = torch.randn(5, 7, D).double(), torch.randn(7, W).double()
    torch.testing.assert_close(p.log_prob(z, w), torch.stack([p.log_prob(one, w) for one in z]))


@pytest.mark.parametrize("style", ["network", "low_rank"])
def test_matrix_form_is_the_broadcast_form(style, qz):
    # the style 0 goes through the broadcast form, no style through matrix products
    moved, fixed = components(style), components("none")
    fixed.load_state_dict(moved.state_dict(), strict=False)
    w = torch.zeros(7, W, dtype=torch.float64)
    torch.testing.assert_close(moved.kl(qz, w), fixed.kl(qz))
    torch.testing.assert_close(moved.log_prob(qz.loc, w), fixed.log_prob(qz.loc))


@pytest.mark.parametrize("style", ["network", "low_rank"])
def test_style_zero_changes_nothing_and_others_do(style):
    p = components(style)
    still = p(torch.zeros(3, W, dtype=torch.float64))
    torch.testing.assert_close(still.loc, p.loc.expand(3, K, D))
    torch.testing.assert_close(still.variance, p.log_variance.exp().expand(3, K, D))
    moved = p(torch.ones(3, W, dtype=torch.float64))
    assert ((moved.loc - p.loc).abs() > 1e-3).all()
    assert ((moved.scale - still.scale).abs() > 1e-4).all()


@pytest.mark.parametrize("style", ["network", "low_rank"])
def test_no_style_moves_anything_at_the_start(style):
    p = Components(K, D, STYLES[style](W, K, D))
    moved = p(torch.randn(3, W))
    torch.testing.assert_close(moved.loc, p.loc.expand(3, K, D))


@pytest.mark.parametrize("style", STYLES)
def test_every_parameter_gets_a_gradient(style, qz):
    p = components(style)
    w = None if style == "none" else torch.randn(7, W).double()
    p.kl(qz, w).sum().backward()
    for name, parameter in p.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("style", STYLES)
def test_variance_stays_in_its_range(style):
    p = components(style)
    w = None if style == "none" else torch.ones(2, W, dtype=torch.float64)
    with torch.no_grad():
        for value in (-100.0, 100.0):
            p.log_variance.fill_(value)
            at_rest, moved = p().variance.log(), p(w).variance.log()
            assert (at_rest > -6 - 1e-9).all()
            assert (at_rest < 3 + 1e-9).all()
            assert ((moved - at_rest).abs() < 3 + 1e-9).all()


@pytest.mark.parametrize("offset", [10.0, 100.0])
@pytest.mark.parametrize("style", STYLES)
def test_precise_far_from_the_origin(style, offset):
    # float32, σ² at its floor: expanding (z − μ)² must not lose what is left of the difference
    p = components(style, torch.float32)
    with torch.no_grad():
        p.log_variance.fill_(-6.0)
        p.loc.mul_(0.1).add_(offset)
    z = p.loc.detach()[torch.randint(K, (50,))] + 0.05 * torch.randn(50, D)
    w = None if style == "none" else torch.zeros(50, W)
    q = Normal(z, torch.full_like(z, 0.05))
    exact = copy.deepcopy(p).double()
    w64 = None if w is None else w.double()
    q64 = Normal(z.double(), q.scale.double())
    tolerance = {"rtol": 1e-5, "atol": 1e-3}
    log_prob = p.log_prob(z, w).double()
    torch.testing.assert_close(log_prob, exact.log_prob(z.double(), w64), **tolerance)
    torch.testing.assert_close(p.kl(q, w).double(), exact.kl(q64, w64), **tolerance)
