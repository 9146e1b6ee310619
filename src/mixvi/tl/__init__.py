"""AnnData in, AnnData annotated: the scanpy way."""

from .cgmdvae import cgmdvae
from .merge_components import merge_components
from .rmve import rmve
from .stability import stability
from .transfer import transfer

__all__ = ["cgmdvae", "merge_components", "rmve", "stability", "transfer"]
