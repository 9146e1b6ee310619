"""AnnData in, AnnData annotated: the scanpy way."""

from .cgmdvae import cgmdvae
from .map_to_space import apply_space_map, map_to_space
from .merge_components import merge_components
from .rmve import rmve
from .stability import stability
from .transfer import transfer

__all__ = [
    "apply_space_map",
    "cgmdvae",
    "map_to_space",
    "merge_components",
    "rmve",
    "stability",
    "transfer",
]


def __dir__() -> list[str]:
    return __all__
