"""The gamma functions of count likelihoods, from short sums where counts are small."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["SMALL", "log_factorial", "log_rising_factorial"]

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
