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
from .gaussian_mixture import GaussianMixture
from .hsic import hsic
from .merging import MergeTree, kernel_means, merge_tree
from .mixture import MixturePrior
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
    "GaussianMixture",
    "GlobalDirichlet",
    "HellingerRepulsion",
    "LatentPrior",
    "MMDRepulsion",
    "MeansRepulsion",
    "MergeTree",
    "MixturePrior",
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
    "merge_tree",
    "repulsion",
]
