"""Seeds that hold for one call and leave the global generators as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral

import numpy as np
import scvi
import torch

__all__ = ["seeded"]


@contextmanager
def seeded(rng: int | np.random.Generator | None) -> Iterator[None]:
    """Run a block under a seed of its own.

    Training takes its random numbers from torch's and numpy's global generators, which are put
    back afterwards, as is ``scvi.settings.seed``.

    Parameters
    ----------
    rng
        Seed, or a generator to draw one from; ``None`` changes nothing.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if rng is None:
        yield
        return
    if isinstance(rng, np.random.Generator):
        seed = int(rng.integers(2**31))
    elif isinstance(rng, Integral) and 0 <= rng < 2**32:
        seed = int(rng)
    else:
        raise ValueError(
            f"expected rng to be a whole number from 0 to 2**32 - 1 or a numpy Generator, found "
            f"{rng!r}; pass one of these, or None"
        )
    before = scvi.settings.seed
    states = torch.random.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    scvi.settings.seed = seed
    try:
        yield
    finally:
        scvi.settings.seed = before
        torch.random.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])
