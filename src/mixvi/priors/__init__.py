"""Everything above z: the latent priors, each with the recognition factors that only it needs."""

from .base import LatentPrior
from .dirichlet import (
    CollapsedDirichlet,
    GlobalDirichlet,
    MixtureWeights,
    NetworkDirichlet,
    UniformWeights,
    collapsed_penalty,
)
from .dirichlet_mixture import DirichletMixture
from .hsic import hsic
from .merging import kernel_means, merge_components
from .repulsion import (
    DPPRepulsion,
    HellingerRepulsion,
    MeansRepulsion,
    MMDRepulsion,
    PairwiseRepulsion,
    Repulsion,
    bhattacharyya,
    repulsion,
)
from .standard import StandardPrior

__all__ = [
    "CollapsedDirichlet",
    "DPPRepulsion",
    "DirichletMixture",
    "GlobalDirichlet",
    "HellingerRepulsion",
    "LatentPrior",
    "MMDRepulsion",
    "MeansRepulsion",
    "MixtureWeights",
    "NetworkDirichlet",
    "PairwiseRepulsion",
    "Repulsion",
    "StandardPrior",
    "UniformWeights",
    "bhattacharyya",
    "collapsed_penalty",
    "hsic",
    "kernel_means",
    "merge_components",
    "repulsion",
]
