"""p(·|·): the arrows of the graphical models, as modules that return a distribution."""

from .components import Components, LowRankStyle, NetworkStyle
from .continuous import Bernoulli, BernoulliLikelihood, Normal, NormalLikelihood
from .count_rate import CountRate
from .gaussian import GaussianArrow
from .hidden import HiddenLayer, HiddenLayers
from .likelihood import CellDistribution, Likelihood, Spread
from .negative_binomial import NegativeBinomial, NegativeBinomialLikelihood
from .poisson import Poisson, PoissonLikelihood
from .zero_inflated import ZeroInflatedNegativeBinomial, ZeroInflatedNegativeBinomialLikelihood

__all__ = [
    "Bernoulli",
    "BernoulliLikelihood",
    "CellDistribution",
    "Components",
    "CountRate",
    "GaussianArrow",
    "HiddenLayer",
    "HiddenLayers",
    "Likelihood",
    "LowRankStyle",
    "NegativeBinomial",
    "NegativeBinomialLikelihood",
    "NetworkStyle",
    "Normal",
    "NormalLikelihood",
    "Poisson",
    "PoissonLikelihood",
    "Spread",
    "ZeroInflatedNegativeBinomial",
    "ZeroInflatedNegativeBinomialLikelihood",
]
