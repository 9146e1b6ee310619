"""Points that stand for a normal distribution, where a mean over it has no closed form."""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["N_POINTS", "normal_points"]

N_POINTS = 20
N_DRAWS = 4096  # whose lengths stand for the lengths of all


@lru_cache
def normal_points(n_latent: int, n_points: int = N_POINTS) -> Float[Tensor, "S D"]:
    r"""Points of equal weight that stand for N(0, I), the same in every call.

    Spherical cubature :cite:p:`arasaratnam2009`: ±r times the axes of a random rotation. The mean
    over a rotation's 2 D points is exact for polynomials up to the third degree, and so nearly for
    responsibilities, which change little over the width of a cell's posterior: with 10 dimensions
    20 points are about twice as exact as 32 of a Sobol sequence. Rotations with different r, the
    middles of equal shares of the lengths that draws of N(0, I) have, are added up to
    ``n_points``; the mean of r² is D.

    Parameters
    ----------
    n_latent
        D.
    n_points
        Number of points at least; it is rounded up to whole rotations.
    """
    generator = torch.Generator().manual_seed(0)
    n_rotations = max(1, -(-n_points // (2 * n_latent)))
    draws = torch.randn(n_rotations, n_latent, n_latent, generator=generator, dtype=torch.float64)
    axes = torch.linalg.qr(draws).Q
    lengths = torch.randn(N_DRAWS, n_latent, generator=generator, dtype=torch.float64).norm(dim=1)
    radius = lengths.quantile((torch.arange(n_rotations, dtype=torch.float64) + 0.5) / n_rotations)
    radius *= (n_latent / radius.square().mean()).sqrt()
    points = (radius[:, None, None] * axes).flatten(0, 1)
    return torch.cat([points, -points]).float()
