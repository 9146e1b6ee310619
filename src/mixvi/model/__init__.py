"""The models: AnnData in, arrays out."""

from .cgmdvae import CGMDVAE
from .clusters import ComponentTable

__all__ = ["CGMDVAE", "ComponentTable"]
