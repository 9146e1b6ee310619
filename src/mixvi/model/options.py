"""Options that a user chooses by name."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["choice"]


def choice(name: str, value: object, allowed: Sequence[object]) -> None:
    """Check an option against its allowed values.

    Raises
    ------
    ValueError
        If ``value`` is not one of them.
    """
    if value not in allowed:
        raise ValueError(f"expected {name} to be one of {tuple(allowed)}, found {value!r}")
