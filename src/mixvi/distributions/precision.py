"""Where mixed precision stops: inferred quantities and the objective keep every digit."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import nn

__all__ = ["full_precision", "in_full_precision"]

P = ParamSpec("P")
T = TypeVar("T")


def full_precision(device: torch.device) -> torch.autocast:
    """Suspend mixed precision: sums of counts and differences of squares need every digit.

    Parameters
    ----------
    device
        Where the operations run.
    """
    return torch.autocast(device.type, enabled=False)


def in_full_precision(method: Callable[P, T]) -> Callable[P, T]:
    """Decorate a module's method: mixed precision is suspended in it.

    Parameters
    ----------
    method
        Method of a :class:`torch.nn.Module` with parameters.
    """

    @wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        module = args[0]
        assert isinstance(module, nn.Module)
        with full_precision(next(module.parameters()).device):
            return method(*args, **kwargs)

    return run
