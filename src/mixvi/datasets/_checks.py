"""What the simulators share: checks of numbers and names of groups."""

from numbers import Integral, Real

import numpy as np
import pandas as pd


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


def named(codes: np.ndarray, prefix: str, n: int) -> pd.api.extensions.ExtensionArray:
    """Codes 0 to n − 1 as a categorical ``{prefix}_{code}``, in the order of the codes."""
    names = [f"{prefix}_{i}" for i in range(n)]
    return pd.Series(np.array(names)[codes], dtype=pd.CategoricalDtype(names)).array
