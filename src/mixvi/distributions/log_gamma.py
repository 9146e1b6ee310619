"""The gamma functions of counts and of responsibilities, cheap where these are small."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from scipy import special
from torch import Tensor

__all__ = ["SMALL", "gamma_functions_near", "log_factorial", "log_rising_factorial"]

SMALL = 16  # most counts of single cells are not larger


def log_rising_factorial(
    theta: Float[Tensor, " genes"],
    columns: Int[Tensor, " n"],
    counts: Float[Tensor, " n"],
) -> Float[Tensor, " n"]:
    r"""Log Γ(x + θ) − log Γ(θ), for counts x and a θ for every gene.

    .. math:: \log\frac{\Gamma(x + \theta)}{\Gamma(\theta)} = \sum_{i<x} \log(\theta + i)

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
    steps = torch.arange(SMALL, dtype=theta.dtype, device=theta.device)
    sums = (theta + steps[:, None]).log().cumsum(0)
    table = torch.cat([torch.zeros_like(sums[:1]), sums]).flatten()
    small = _is_small(counts)
    rows = torch.where(small, counts, 0).long()
    found = table.index_select(0, rows * len(theta) + columns)
    large = (~small).nonzero().squeeze(1)
    if not len(large):
        return found
    x, at = counts[large].to(theta.dtype), theta.index_select(0, columns[large])
    return found.index_put((large,), torch.lgamma(x + at) - torch.lgamma(at))


def log_factorial(counts: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Log x! = log Γ(x + 1), for counts x; from a table up to 16."""
    table = torch.lgamma(torch.arange(1, SMALL + 2, dtype=counts.dtype, device=counts.device))
    small = _is_small(counts)
    found = table.index_select(0, torch.where(small, counts, 0).long())
    large = (~small).nonzero().squeeze(1)
    return found.index_put((large,), torch.lgamma(counts[large] + 1)) if len(large) else found


def _is_small(counts: Tensor) -> Tensor:
    return (counts <= SMALL) & (counts == counts.floor())


@torch.no_grad()
def gamma_functions_near(
    alpha: float, q: Float[Tensor, "cells K"]
) -> tuple[Float[Tensor, "cells K"], Float[Tensor, "cells K"]]:
    r"""Log Γ(α + q) and ψ(α + q), for responsibilities of which most are about 0; no gradient.

    There, on a CPU, two terms of the series in q are exact to the last digit and need no gamma
    function:

    .. math:: \psi(\alpha + q) = \psi(\alpha) + q\,\psi'(\alpha) + O(q^2 / \alpha^3)

    Parameters
    ----------
    alpha
        Concentration, > 0.
    q
        Responsibilities.
    """
    if q.device.type != "cpu":  # where finding the others costs more than all of them
        return torch.lgamma(alpha + q), torch.digamma(alpha + q)
    value, slope = float(special.digamma(alpha)), float(special.zeta(2, alpha))  # ψ and ψ′
    digamma = value + slope * q
    log_gamma = math.lgamma(alpha) + q * (value + 0.5 * slope * q)
    small = math.sqrt(torch.finfo(q.dtype).eps) * min(alpha, 1.0)
    large = (q > small).flatten().nonzero().squeeze(1)
    a = alpha + q.flatten()[large]
    digamma.view(-1)[large] = torch.digamma(a)
    log_gamma.view(-1)[large] = torch.lgamma(a)
    return log_gamma, digamma
