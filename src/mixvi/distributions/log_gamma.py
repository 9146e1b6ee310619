"""Gamma functions of counts and of responsibilities, without a gamma function where possible."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.polynomial import chebyshev
from scipy import special
from torch import Tensor

__all__ = ["SMALL", "gamma_functions_near", "log_binomial_coefficient"]

SMALL = 16  # most counts of single cells are not larger
DEGREE = 7  # of polynomials that are off by less than single precision is


def log_binomial_coefficient(
    theta: Float[Tensor, " genes"],
    columns: Int[Tensor, " n"],
    counts: Float[Tensor, " n"],
) -> Float[Tensor, " n"]:
    r"""Log of C(x + θ − 1, x), what the negative binomial has beside powers of μ and θ.

    .. math:: \log\frac{\Gamma(x + \theta)}{\Gamma(\theta)\,x!}
              = \sum_{i<x} \log\frac{\theta + i}{1 + i}

    Whole counts up to 16 are looked up in a table of these sums, 17 × genes; the gamma functions
    and their derivatives are computed for the others alone. The sum is also the more precise: no
    two large numbers are subtracted.

    Parameters
    ----------
    theta
        Inverse dispersions, positive.
    columns
        The gene of every count.
    counts
        Counts, not negative.
    """
    steps = torch.arange(SMALL, dtype=theta.dtype, device=theta.device)[:, None]
    sums = ((theta + steps) / (1 + steps)).log().cumsum(0)
    table = torch.cat([torch.zeros_like(sums[:1]), sums]).flatten()
    rows = counts.long().clamp_(0, SMALL)  # the count, or another place in the table
    found = table.index_select(0, rows * len(theta) + columns)
    others = (rows != counts).nonzero().squeeze(1)
    if not len(others):
        return found
    x, at = counts[others].to(theta.dtype), theta.index_select(0, columns[others])
    of_others = torch.lgamma(x + at) - torch.lgamma(at) - torch.lgamma(x + 1)
    return found.index_put((others,), of_others)


@torch.no_grad()
def gamma_functions_near(
    alpha: float, q: Float[Tensor, "cells K"]
) -> tuple[Float[Tensor, "cells K"], Float[Tensor, "cells K"]]:
    r"""Log Γ(α + q) and ψ(α + q), for responsibilities; no gradient.

    In single precision on a CPU without a gamma function, which takes a hundred times as long as a
    product: the recurrence carries a = α + q so far from the pole at 0 that polynomials P and R of
    low degree are exact to the last digit.

    .. math:: \log\Gamma(a) = P(q) - \log a(a + 1), \qquad
              \psi(a) = R(q) - \frac{2a + 1}{a(a + 1)}

    Parameters
    ----------
    alpha
        Concentration, > 0.
    q
        Responsibilities, from 0 to 1.
    """
    a = alpha + q
    if q.device.type != "cpu" or q.dtype != torch.float32:
        return torch.lgamma(a), torch.digamma(a)
    product = a * (a + 1)
    log_gamma = _polynomial(special.gammaln, alpha, q).sub_(product.log())
    digamma = _polynomial(special.digamma, alpha, q).sub_(a.mul_(2).add_(1).div_(product))
    return log_gamma, digamma


def _polynomial(function: Callable, alpha: float, q: Tensor) -> Tensor:
    """The function at α + 2 + q, by Horner's scheme."""
    t = 2 * q - 1
    highest, *others = _coefficients(function, alpha)
    value = highest.expand_as(t).contiguous()
    for coefficient in others:
        torch.addcmul(coefficient, value, t, out=value)
    return value


@lru_cache
def _coefficients(function: Callable, alpha: float) -> tuple[Tensor, ...]:
    """Of the polynomial in 2q − 1 through the values at Chebyshev's points; highest power first."""
    series = chebyshev.chebinterpolate(lambda t: function(alpha + 2 + (t + 1) / 2), DEGREE)
    return torch.from_numpy(chebyshev.cheb2poly(series)[::-1].astype(np.float32)).unbind()
