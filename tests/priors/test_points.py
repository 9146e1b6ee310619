import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from mixvi.priors.points import N_POINTS, normal_points

pytestmark = pytest.mark.law
DIMENSIONS = [1, 2, 3, 5, 10, 30]


@pytest.mark.parametrize("n_latent", DIMENSIONS)
@pytest.mark.parametrize("n_points", [1, N_POINTS, 256])
def test_moments_are_exact_up_to_the_third(n_latent, n_points):
    points = normal_points(n_latent, n_points).double()
    assert n_points <= len(points) < n_points + 2 * n_latent
    second = points.t() @ points / len(points)
    third = torch.einsum("si,sj,sk->ijk", points, points, points)
    for found, expected in (
        (points.mean(0), torch.zeros(n_latent)),
        (torch.trace(second), torch.tensor(float(n_latent))),
        (third, torch.zeros_like(third)),
    ):
        torch.testing.assert_close(found, expected.double(), atol=1e-5, rtol=1e-6)
    if len(points) == 2 * n_latent:  # rotations of different radius have it on average
        torch.testing.assert_close(second, torch.eye(n_latent).double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("n_latent", DIMENSIONS)
def test_mean_of_a_responsibility(n_latent):
    # of two components that lie apart along a random direction
    slopes = np.random.default_rng(0).standard_normal((200, n_latent))
    slopes *= 2 / np.linalg.norm(slopes, axis=1, keepdims=True)
    exact = quad(lambda t: expit(1 + 2 * t) * norm.pdf(t), -9, 9)[0]
    found = expit(1 + slopes @ normal_points(n_latent).numpy().T).mean(1)
    sobol = torch.quasirandom.SobolEngine(n_latent, scramble=True, seed=0).draw(32)
    others = expit(1 + slopes @ norm.ppf(sobol.numpy().clip(1e-6, 1 - 1e-6)).T).mean(1)
    error = np.sqrt(np.mean((found - exact) ** 2))
    assert error < 0.02
    if n_latent >= 5:  # a few axes in few dimensions are no better than a sequence
        assert error < np.sqrt(np.mean((others - exact) ** 2))


def test_same_in_every_call():
    torch.manual_seed(1)
    first = normal_points(4, 50).clone()
    normal_points.cache_clear()
    torch.manual_seed(2)
    assert torch.equal(normal_points(4, 50), first)
