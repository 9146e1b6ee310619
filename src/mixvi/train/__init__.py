"""How the models are trained: phases, optimizer step, start of the components, best weights."""

from .best import KeepBest
from .checkpoint import LongRun
from .finite import StopAtNaN
from .guard import GuardComponents
from .plan import MixturePlan
from .schedule import Schedule, default_epochs
from .split import DataSplitter
from .start import StartComponents, fit_start, start_components

__all__ = [
    "DataSplitter",
    "GuardComponents",
    "KeepBest",
    "LongRun",
    "MixturePlan",
    "Schedule",
    "StartComponents",
    "StopAtNaN",
    "default_epochs",
    "fit_start",
    "start_components",
]
