"""Mixture variational inference for single cells: clusters, latent space and map from one model."""

from importlib.metadata import version

from mixvi import _compat, datasets, metrics, model, pl, report, tl

__version__ = version("mixvi")
__all__ = ["__version__", "datasets", "metrics", "model", "pl", "report", "tl"]

del _compat, version
