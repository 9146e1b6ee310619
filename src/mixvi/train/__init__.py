"""How the models are trained: phases, optimizer step, start of the components, best weights."""

from .best import KeepBest
from .checkpoint import LongRun
from .finite import StopAtNaN
from .guard import GuardComponents
from .means import start_at_means
from .plan import MixturePlan
from .ranks import AllRanks, Runner, for_many_ranks
from .ray import on_ray, ray_settings
from .schedule import Schedule, default_batch_size, default_epochs
from .split import DataSplitter
from .spread import start_at_spread
from .start import StartComponents, fit_start, start_components

__all__ = [
    "AllRanks",
    "DataSplitter",
    "GuardComponents",
    "KeepBest",
    "LongRun",
    "MixturePlan",
    "Runner",
    "Schedule",
    "StartComponents",
    "StopAtNaN",
    "default_batch_size",
    "default_epochs",
    "fit_start",
    "for_many_ranks",
    "on_ray",
    "ray_settings",
    "start_at_means",
    "start_at_spread",
    "start_components",
]
