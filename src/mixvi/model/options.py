"""Options that a user chooses: by name, or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

from mixvi._numbers import check_at_least, check_number

__all__ = ["check_library_size", "check_network", "choice"]


def choice(name: str, value: object, allowed: Sequence[object]) -> None:
    """Check an option against its allowed values.

    Raises
    ------
    ValueError
        If ``value`` is not one of them.
    """
    if value not in allowed:
        raise ValueError(
            f"expected {name} to be one of {tuple(allowed)}, found {value!r}; choose one"
        )


def check_network(
    *,
    n_latent: int,
    n_hidden: int,
    n_layers: int,
    n_style: int = 0,
    dropout_rate: float,
    input_dropout: float | None,
    label_weight: float,
    independence_weight: float,
) -> None:
    """Check the numbers that encoder, decoder and objective are made with.

    Raises
    ------
    ValueError
        If one is out of range, or not a number.
    """
    check_at_least(1, n_latent=n_latent, n_hidden=n_hidden)
    check_at_least(0, n_layers=n_layers, n_style=n_style)
    check_number("dropout_rate", dropout_rate, high=1.0)
    if input_dropout is not None:
        check_number("input_dropout", input_dropout, high=1.0)
    check_number("label_weight", label_weight)
    check_number("independence_weight", independence_weight)


def check_library_size(library_size: Any, *, latent: bool = False) -> None:
    """Check a number of counts per cell.

    Parameters
    ----------
    library_size
        What the user gave.
    latent
        Whether ``"latent"``, every cell's own, is one too.

    Raises
    ------
    ValueError
        If it is not a positive number.
    """
    if latent and library_size == "latent":
        return
    valid = isinstance(library_size, Real)
    if not valid or not 0 < library_size < float("inf"):
        wanted = "a positive number or 'latent'" if latent else "a positive number"
        raise ValueError(
            f"expected library_size to be {wanted}, found {library_size!r}; 1 gives shares"
        )
