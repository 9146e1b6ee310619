"""One self-contained HTML page about a run: to look at, to print, to send to a colleague."""

from .write import write_report

__all__ = ["write_report"]


def __dir__() -> list[str]:
    return __all__
