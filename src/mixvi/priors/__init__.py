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
from .merging import MergeTree, kernel_means, merge_tree
from .standard import StandardPrior

__all__ = [
    "CollapsedDirichlet",
    "DirichletMixture",
    "GlobalDirichlet",
    "LatentPrior",
    "MergeTree",
    "MixtureWeights",
    "NetworkDirichlet",
    "StandardPrior",
    "UniformWeights",
    "collapsed_penalty",
    "kernel_means",
    "merge_tree",
]
