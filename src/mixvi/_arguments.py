"""What the commands share of their arguments."""

import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

import torch
import typer

from mixvi._console import refuse

__all__ = [
    "Accelerator",
    "Likelihood",
    "Method",
    "check_accelerator",
    "column",
    "given",
    "number_or_auto",
    "refuse_existing",
    "refuse_unwritable",
]


class Method(StrEnum):
    """Model that clusters."""

    cgmdvae = "cgmdvae"
    rmve = "rmve"


class Likelihood(StrEnum):
    """Distribution of a gene in a cell."""

    nb = "nb"
    zinb = "zinb"
    poisson = "poisson"
    normal = "normal"


class Accelerator(StrEnum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"
    mps = "mps"


def column(text: str) -> Any:
    """An option that names a column of ``obs``."""
    return typer.Option(metavar="COLUMN", rich_help_panel="Columns of obs", help=text)


def refuse_existing(outputs: Iterable[Path | None], *, inputs: Iterable[Path], force: bool) -> None:
    """Refuse to replace an input or another output, and what is there unless told to."""
    taken = {os.path.realpath(path): "input" for path in inputs}
    for target in filter(None, outputs):
        place = os.path.realpath(target)
        if place in taken:
            refuse(
                f"expected an output of its own, found {str(target)!r}, which is an "
                f"{taken[place]} too; choose another"
            )
        taken[place] = "output"
        if os.path.lexists(target) and not force:
            refuse(f"expected a new output, found {str(target)!r}; pass --force to replace it")


def refuse_unwritable(outputs: Iterable[Path | None], error: OSError) -> NoReturn:
    """Say that one of the outputs cannot be written."""
    targets = " and ".join(repr(str(target)) for target in outputs if target)
    refuse(
        f"expected to write {targets}, found: {error.strerror}; make the directory or choose "
        "another"
    )


def given(arguments: dict[str, Any]) -> dict[str, Any]:
    """Those that are not ``None``."""
    return {name: value for name, value in arguments.items() if value is not None}


def number_or_auto(text: str, option: str, *, least: int) -> Any:
    """A whole number of at least ``least``, or ``"auto"``."""
    if text == "auto":
        return text
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        refuse(f"expected {option} to be a number of at least {least} or auto, found {text!r}")
    return number


def check_accelerator(accelerator: Accelerator) -> None:
    """Refuse what this machine does not have."""
    there = {
        Accelerator.gpu: torch.cuda.is_available() or torch.backends.mps.is_available(),
        Accelerator.mps: torch.backends.mps.is_available(),
    }
    if not there.get(accelerator, True):
        refuse(f"expected a working {accelerator}, found none; pass --accelerator auto or cpu")
