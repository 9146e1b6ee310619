"""Several processes that train one model, each on cells of its own: what they must count together.

A mean over the cells of a step is the mean over all processes' cells. Outside of :func:`together`
nothing here communicates, however many processes there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable

__all__ = ["mean_over_ranks", "n_ranks", "rank", "sum_over_ranks", "together"]

_depth = 0  # of together


@contextmanager
def together() -> Iterator[None]:
    """Count over all processes of the default process group; all of them must be in here."""
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1


def n_ranks() -> int:
    """Number of processes that count together."""
    return distributed.get_world_size() if _depth and distributed.is_initialized() else 1


def rank() -> int:
    """Which of the processes this is, whether they count together or not."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def sum_over_ranks(x: Tensor) -> Tensor:
    """Sum of all processes' ``x``, with a gradient.

    What a process makes of the sum counts for every process that added to it: the gradient is the
    sum of all processes' gradients.
    """
    return x if n_ranks() == 1 else _Sum.apply(x)


def mean_over_ranks(x: Tensor) -> Tensor:
    """Mean of all processes' ``x``, with a gradient; of equally many cells the mean over cells."""
    return sum_over_ranks(x) / n_ranks()


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _added(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _added(gradient)


def _added(x: Tensor) -> Tensor:
    total = x.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total
