"""Mixture variational inference for single cells: clusters, latent space and map from one model."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mixvi import _compat, metrics, model, tl

if TYPE_CHECKING:
    from mixvi import datasets, pl, report

__version__ = version("mixvi")
__all__ = ["__version__", "datasets", "metrics", "model", "pl", "report", "tl"]

del _compat, version


def __getattr__(name: str) -> Any:
    """Load what draws or needs all of scanpy when it is asked for: not everybody does."""
    if name in __all__:
        return import_module(f"mixvi.{name}")
    raise AttributeError(f"module 'mixvi' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
