"""Real and binary data: normal and Bernoulli observations."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, distributions, nn
from torch.nn.functional import softplus

from .likelihood import EXPLAINED, CellDistribution, Likelihood, Spread
from .sparse import Nonzeros, dense

__all__ = ["Bernoulli", "BernoulliLikelihood", "Normal", "NormalLikelihood"]

MIN_PROBABILITY = 1e-3  # to start from: of pixels that are always black, and of those always white
MIN_SCALE = 1e-2  # a gene that the decoder fits exactly must not send σ to 0 and the loss to −∞


class Normal(distributions.Normal, CellDistribution):
    """Independent normal expression, for log-normalized or any real data."""

    def __init__(self, loc: Tensor, scale: Tensor):
        super().__init__(loc, scale, validate_args=False)

    def get_normalized(self, key: str) -> Tensor:
        """The mean, whatever the key: real data have no depth."""
        return self.loc

    def cell_log_prob(self, x: Tensor) -> Float[Tensor, "*samples cells"]:
        """Σ_g log N(x_g | μ_g, σ_g)."""
        return self.log_prob(dense(x)).sum(-1)


class NormalLikelihood(Likelihood):
    """p(x | z, c) = N(A h, σ_g) with one learned σ for every gene, at least .01.

    Parameters
    ----------
    n_hidden
        Width of the decoder's hidden layer.
    n_genes
        Number of genes.
    """

    is_count: ClassVar[bool] = False

    def __init__(self, n_hidden: int, n_genes: int):
        super().__init__()
        self.loc = nn.Linear(n_hidden, n_genes)
        self.raw_scale = nn.Parameter(torch.zeros(n_genes))

    @property
    def head(self) -> nn.Linear:
        """Means."""
        return self.loc

    def link(self, mean: Tensor) -> Tensor:
        """The mean itself."""
        return mean

    @torch.no_grad()
    def start_at_spread_(self, spread: Spread) -> None:
        """Begin with σ_g² at the variance of every gene, less the ⅔ that z is to explain."""
        scale = (spread.variance * (1 - EXPLAINED)).sqrt()
        above = (scale - MIN_SCALE).clamp(min=MIN_SCALE)
        self.raw_scale.copy_(above + (-torch.expm1(-above)).log())

    def forward(
        self,
        h: Float[Tensor, "*samples cells hidden"],
        log_depth: Float[Tensor, "*samples cells 1"],
    ) -> Normal:
        """Return p(x | z, c)."""
        return Normal(self.loc(h), softplus(self.raw_scale) + MIN_SCALE)


class Bernoulli(distributions.Bernoulli, CellDistribution):
    """Independent binary features; values between 0 and 1 (gray pixels) count as probabilities."""

    def __init__(self, logits: Tensor):
        super().__init__(logits=logits, validate_args=False)

    def get_normalized(self, key: str) -> Tensor:
        """The probability of a one, whatever the key."""
        return self.probs

    def cell_log_prob(self, x: Tensor) -> Float[Tensor, "*samples cells"]:
        """Σ_g x_g·logit_g − softplus(logit_g), the first term at the non-zero entries alone."""
        at = Nonzeros(x)
        return at.sum_by_cell(at.values * at.take(self.logits)) - softplus(self.logits).sum(-1)


class BernoulliLikelihood(Likelihood):
    """p(x | z, c) = Bernoulli(sigmoid(A h)), for binary data and images.

    Parameters
    ----------
    n_hidden
        Width of the decoder's hidden layer.
    n_genes
        Number of features (pixels).
    """

    is_count: ClassVar[bool] = False

    def __init__(self, n_hidden: int, n_genes: int):
        super().__init__()
        self.logits = nn.Linear(n_hidden, n_genes)

    @property
    def head(self) -> nn.Linear:
        """Logits of the probabilities."""
        return self.logits

    def link(self, mean: Tensor) -> Tensor:
        """Logits."""
        return mean.logit(MIN_PROBABILITY)

    def forward(
        self,
        h: Float[Tensor, "*samples cells hidden"],
        log_depth: Float[Tensor, "*samples cells 1"],
    ) -> Bernoulli:
        """Return p(x | z, c)."""
        return Bernoulli(self.logits(h))
