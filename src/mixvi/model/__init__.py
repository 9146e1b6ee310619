"""The models: AnnData in, arrays out."""

from .cgmdvae import CGMDVAE
from .clusters import ComponentTable
from .rmve import RMVE

__all__ = ["CGMDVAE", "RMVE", "ComponentTable"]
