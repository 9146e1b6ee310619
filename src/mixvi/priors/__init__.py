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
from .merging import MergeTree, kernel_means, merge_tree
from .mixture import MixturePrior
from .repulsion import Repulsion, repulsion
from .standard import StandardPrior

__all__ = [
    "CollapsedDirichlet",
    "DirichletMixture",
    "GaussianMixture",
    "GlobalDirichlet",
    "LatentPrior",
    "MergeTree",
    "MixturePrior",
    "MixtureWeights",
    "NetworkDirichlet",
    "Repulsion",
    "StandardPrior",
    "UniformWeights",
    "collapsed_penalty",
    "kernel_means",
    "merge_tree",
    "repulsion",
]
