"""AnnData in, AnnData annotated: the scanpy way."""

from .cgmdvae import cgmdvae
from .merge_components import merge_components
from .rmve import rmve

__all__ = ["cgmdvae", "merge_components", "rmve"]
