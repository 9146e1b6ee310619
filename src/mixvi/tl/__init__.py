"""AnnData in, AnnData annotated: the scanpy way."""

from .cgmdvae import cgmdvae

__all__ = ["cgmdvae"]
