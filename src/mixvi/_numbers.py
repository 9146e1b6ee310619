"""Checks of numbers that a user gives."""

from numbers import Integral, Real

import numpy as np

__all__ = ["check_at_least", "check_number"]


def check_at_least(minimum: int, **values: int) -> None:
    """Raise ValueError unless every value is a whole number of at least ``minimum``."""
    for name, value in values.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < minimum:
            raise ValueError(
                f"expected `{name}` to be a whole number of at least {minimum}, "
                f"found {value!r}; pass one in that range."
            )


def check_number(
    name: str, value: float, *, low: float = 0.0, high: float = np.inf, open_low: bool = False
) -> None:
    """Raise ValueError unless ``low <= value < high`` (``low < value`` with ``open_low``)."""
    valid = isinstance(value, Real) and not isinstance(value, bool)
    if not valid or not low <= value < high or (open_low and value == low):
        sign = "<" if open_low else "≤"
        raise ValueError(
            f"expected a number {low:g} {sign} `{name}` < {high:g}, found {value!r}; "
            "pass a value in that range."
        )
