"""Data to try things on: embedded real cells and images, and simulators with known truth."""

from mixvi.datasets.cells import pbmc
from mixvi.datasets.conditional import simulate_conditional
from mixvi.datasets.counts import simulate
from mixvi.datasets.images import digits
from mixvi.datasets.organs import organ_places
from mixvi.datasets.tissue import simulate_tissue

__all__ = [
    "digits",
    "organ_places",
    "pbmc",
    "simulate",
    "simulate_conditional",
    "simulate_tissue",
]


def __dir__() -> list[str]:
    return __all__
