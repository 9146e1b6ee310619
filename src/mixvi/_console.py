"""What the command line prints: tables, errors of the user, little of other libraries' noise."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Any, NoReturn

import typer
from anndata import AnnData
from rich.console import Console
from rich.table import Table

from mixvi._keys import Keys
from mixvi._progress import no_bars

__all__ = ["only_our_noise", "print_clusters", "print_scores", "refuse", "refusing", "working"]

_NOISY = ("scvi", "lightning", "lightning.pytorch", "lightning.fabric", "pytorch_lightning")


def refuse(sentence: object) -> NoReturn:
    """Print one sentence on stderr and end with exit code 2."""
    typer.echo(f"mixvi: error: {' '.join(str(sentence).split())}", err=True)
    raise typer.Exit(2)


@contextmanager
def refusing(*errors: type[Exception], only_ours: bool = False) -> Iterator[None]:
    """Turn the errors of a check into one sentence on stderr and exit code 2.

    With ``only_ours`` those whose sentence is not of our kind are not foreseen: their traceback is
    needed.
    """
    try:
        yield
    except errors as error:
        # str(KeyError) would quote the sentence.
        sentence = error.args[0] if isinstance(error, KeyError) and error.args else error
        if only_ours and not str(sentence).startswith("expected "):
            raise
        refuse(sentence)


@contextmanager
def only_our_noise(*, bars: bool = True) -> Iterator[None]:
    """Silence the libraries below; what they print goes to stderr, our warnings stay."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    drawn = nullcontext() if bars else no_bars()
    with warnings.catch_warnings(), redirect_stdout(sys.stderr), drawn:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("default", module=r"mixvi(\.|$)")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def working(what: str, *, shown: bool = True) -> Iterator[None]:
    """Say on a terminal that something without a bar of its own goes on."""
    console = Console(stderr=True)
    with console.status(what) if shown and console.is_terminal else nullcontext():
        yield


def print_scores(scores: dict[str, Any]) -> None:
    """Print scores of a clustering, one a line."""
    table = Table("score", "value", title="Clusters against labels")
    for name, value in scores.items():
        counted = name in ("captured", "n_clusters")  # numbers of labels and of clusters
        table.add_row(name, f"{value:.0f}" if counted else f"{value:.3f}")
    Console().print(table)


def print_clusters(adata: AnnData, keys: Keys) -> None:
    """Print size and confidence of every cluster."""
    by_cluster = adata.obs.groupby(keys.cluster, observed=True)[keys.confidence]
    table = Table("cluster", "cells", "share", "mean confidence")
    for group, confidence in by_cluster:
        share = f"{len(confidence) / adata.n_obs:.1%}"
        table.add_row(str(group), str(len(confidence)), share, f"{confidence.mean():.2f}")
    Console().print(table)
