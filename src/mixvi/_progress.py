"""A bar for loops that take long, and only for these."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

__all__ = ["no_bars", "progress"]

T = TypeVar("T")
PATIENCE = 2.0  # seconds that people wait without asking
_silent: ContextVar[bool] = ContextVar("silent", default=False)


def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Pass items on; if that takes more than two seconds, a bar says how far it is.

    The bar is drawn on stderr of a terminal, or in a notebook that has ipywidgets, and goes away at
    the end. Where stderr is a file there is none.

    Parameters
    ----------
    items
        What is looped over.
    what
        Name beside the bar.
    total
        How many there are, if ``len(items)`` does not say it.
    """
    console = Console(stderr=True)
    # rich draws in notebooks with ipywidgets, and complains where there are none
    drawable = find_spec("ipywidgets") if console.is_jupyter else console.is_terminal
    if _silent.get() or not drawable:
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    begin = time.monotonic()
    with ExitStack() as shown:
        bar = None
        for n, item in enumerate(items):
            if bar is None and time.monotonic() - begin > PATIENCE:
                bar = shown.enter_context(Progress(console=console, transient=True))
                task = bar.add_task(what, total=total)
            if bar is not None:
                bar.update(task, completed=n)
            yield item


@contextmanager
def no_bars() -> Iterator[None]:
    """Draw none of them."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)
