"""From the latent space to a physical place: a linear read-out, its error bars and its null."""

from .fit import PlaceFit, fit_places
from .groups import spatial_blocks
from .null import PermutationNull, permutation_null
from .readout import Readout

__all__ = [
    "PermutationNull",
    "PlaceFit",
    "Readout",
    "fit_places",
    "permutation_null",
    "spatial_blocks",
]
