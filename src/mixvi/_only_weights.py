"""Reading what torch wrote without running what may be in it."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Self

import numpy as np
import torch

__all__ = ["Inert", "only_weights", "read_weights"]

FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


class Inert:
    """What stands for anything of pandas in a file: it keeps what it was made with, no more.

    Tables are in files without a manifest, and are built in other ways by every pandas.
    """

    parts: list[Any]

    def __new__(cls, *args: Any) -> Self:
        """Keep the arguments."""
        made = super().__new__(cls)
        made.parts = [*args]
        return made

    def __init__(self, *args: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        self.parts.append(state)

    def numbers(self) -> list[float] | None:
        """The first block of floats that is in it."""
        return _numbers(self.parts)


def _numbers(thing: Any) -> list[float] | None:
    if isinstance(thing, np.ndarray):
        if thing.dtype.kind == "f":
            return thing.ravel().tolist()
        return _numbers(thing.tolist()) if thing.dtype == object and thing.ndim == 2 else None
    if isinstance(thing, Inert):
        thing = thing.parts
    if isinstance(thing, dict):
        thing = list(thing.values())
    if isinstance(thing, list | tuple):
        if thing and all(isinstance(value, float) for value in thing):
            return list(thing)
        return next((found for part in thing if (found := _numbers(part)) is not None), None)
    return None


def _plain_dict(factory: Any = None) -> dict:
    """Torch fills no other kind of mapping."""
    return {}


PLAIN: list[Any] = [
    (_plain_dict, "collections.defaultdict"),
    *(np.ndarray, np.dtype, dict, bytes, slice),
    *{type(np.dtype(kind)) for kind in "?bhilqBHILQefdgOSUmM"},
    *((getattr(np._core.multiarray, name), f"numpy._core.multiarray.{name}")
      for name in ("_reconstruct", "scalar")),
    *((Inert, f"pandas.{name}") for name in (
        "DataFrame", "Index", "RangeIndex", "StringDtype", "arrays.StringArray",
        "_libs.arrays.__pyx_unpickle_NDArrayBacked", "_libs.internals._unpickle_block",
        "core.arrays.string_.StringArray", "core.arrays.string_.StringDtype",
        "core.frame.DataFrame", "core.indexes.base.Index", "core.indexes.base._new_Index",
        "core.indexes.range.RangeIndex", "core.internals.managers.BlockManager",
    )),
]  # fmt: skip


@contextmanager
def only_weights(path: Path) -> Iterator[None]:
    """Let ``torch.load`` read tensors, arrays and plain values only, whoever calls it.

    scvi-tools asks it for everything, which runs whatever code a file names.

    Parameters
    ----------
    path
        The file, for the message.

    Raises
    ------
    ValueError
        If there is something else in the file.
    """
    before = os.environ.get(FORCE)
    os.environ[FORCE] = "1"
    try:
        with torch.serialization.safe_globals(PLAIN), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")  # the error says it
            yield
    except UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        what = f"{found[1]}, which is code" if found else "something else"
        raise ValueError(
            f"expected weights and plain values in {str(path)!r}, found {what}; nothing of it was "
            "run: ask whoever made the file for one that mixvi saved"
        ) from error
    finally:
        if before is None:
            del os.environ[FORCE]
        else:
            os.environ[FORCE] = before


def read_weights(path: Path) -> Any:
    """Read a file that torch wrote, on the CPU.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    ValueError
        If there is something else than weights and plain values in it, or it is not whole.
    """
    try:
        with only_weights(path):
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except (EOFError, OSError, RuntimeError) as error:  # as torch says it
        raise ValueError(
            f"expected a whole file that torch wrote, found {str(path)!r} damaged or "
            f"foreign ({type(error).__name__}); take another copy of it, or start again without it"
        ) from error
