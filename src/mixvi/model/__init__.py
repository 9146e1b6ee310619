"""The models: AnnData in, arrays out."""

from .cgmdvae import CGMDVAE
from .clusters import ComponentTable
from .condition_effects import ConditionEffects
from .rmve import RMVE
from .streaming import ZarrCells

__all__ = ["CGMDVAE", "RMVE", "ComponentTable", "ConditionEffects", "ZarrCells"]


def __dir__() -> list[str]:
    return __all__
