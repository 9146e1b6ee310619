"""What the command line does with errors of the user and with the noise of other libraries."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import NoReturn

import typer

__all__ = ["only_our_noise", "refuse", "refusing"]

_NOISY = ("scvi", "lightning", "lightning.pytorch", "lightning.fabric", "pytorch_lightning")


def refuse(sentence: object) -> NoReturn:
    """Print one sentence on stderr and end with exit code 2."""
    typer.echo(f"mixvi: error: {' '.join(str(sentence).split())}", err=True)
    raise typer.Exit(2)


@contextmanager
def refusing(*errors: type[Exception]) -> Iterator[None]:
    """Turn the errors of a check into one sentence on stderr and exit code 2."""
    try:
        yield
    except errors as error:
        # str(KeyError) would quote the sentence.
        refuse(error.args[0] if isinstance(error, KeyError) and error.args else error)


@contextmanager
def only_our_noise() -> Iterator[None]:
    """Silence the libraries below; what they print goes to stderr, our warnings stay."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        warnings.filterwarnings("default", module=r"mixvi(\.|$)")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
