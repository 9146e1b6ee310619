"""Putting a predicted change on what was measured."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from mixvi.distributions import CellDistribution

__all__ = ["anchored", "anchored_draw"]


def anchored(
    before: CellDistribution,
    after: CellDistribution,
    x: Float[Tensor, "cells genes"] | None,
    anchor: Float[Tensor, "cells 1"],
    *,
    counts: bool,
) -> Float[Tensor, "cells genes"]:
    r"""Expression after a change, in part the cell's own with the change on it.

    .. math:: a \, [x \min(1, \mu'/\mu) + \max(0, \mu' - \mu)] + (1 - a) \, \mu'

    for counts: what goes down goes down in proportion, so that nothing falls below zero, and what
    goes up is added, so that a silent gene can start. Real data: a (x + μ' − μ) + (1 − a) μ'. In
    both the mean over cells with x = μ is μ', and without a change it is a x + (1 − a) μ.

    Parameters
    ----------
    before, after
        p(x | z, c) and p(x | z', c').
    x
        What was measured; not needed where ``anchor`` is 0.
    anchor
        a.
    counts
        Whether x are counts.
    """
    if x is None or not anchor.any():
        return after.mean
    if counts:
        kept = x * (after.mean / before.mean).clamp(max=1) + (after.mean - before.mean).clamp(min=0)
    else:
        kept = x + after.mean - before.mean
    return torch.where(anchor > 0, anchor * kept + (1 - anchor) * after.mean, after.mean)


def anchored_draw(
    before: CellDistribution,
    after: CellDistribution,
    x: Float[Tensor, "cells genes"] | None,
    anchor: Float[Tensor, "cells 1"],
) -> Float[Tensor, "cells genes"]:
    r"""Counts after a change, as they would be measured; their mean is :func:`anchored`.

    A new draw from p(x | z', c'), or with probability a the count that was measured: thinned by
    μ'/μ where that is below 1, otherwise with a draw thinned by 1 − μ/μ' added to it.

    Parameters
    ----------
    before, after, x, anchor
        As in :func:`anchored`.
    """
    drawn = after.sample()
    if x is None or not anchor.any():
        return drawn
    ratio = after.mean / before.mean
    lost = torch.binomial(x, ratio.clamp(max=1))
    gained = torch.binomial(drawn, (1 - 1 / ratio).clamp(min=0))
    changed = torch.where(ratio < 1, lost, x + gained)
    return torch.where(torch.rand_like(drawn) < anchor, changed, drawn)
