"""Poisson counts."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, distributions, nn
from torch.distributions import constraints
from torch.types import _size

from .count_rate import CountRate
from .likelihood import CellDistribution, Likelihood
from .sparse import Nonzeros, dense

__all__ = ["Poisson", "PoissonLikelihood"]

EPS = 1e-8


class Poisson(CellDistribution):
    r"""Counts with mean and variance μ: log p(x) = x log μ − μ − log x!.

    Parameters
    ----------
    rate
        Mean μ, (\*samples, cells, genes), in counts.
    scale
        Mean freed of the cell's depth; the mean itself if ``None``.
    """

    arg_constraints = {  # noqa: RUF012
        "rate": constraints.nonnegative,
        "scale": constraints.nonnegative,
    }
    support = constraints.nonnegative_integer

    def __init__(self, rate: Tensor, scale: Tensor | None = None):
        self.rate = rate
        self.scale = rate if scale is None else scale
        super().__init__(rate.shape, validate_args=False)

    @property
    def mu(self) -> Tensor:
        """μ."""
        return self.rate

    @property
    def mean(self) -> Tensor:
        """μ."""
        return self.rate

    @property
    def variance(self) -> Tensor:
        """μ."""
        return self.rate

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draw counts."""
        return distributions.Poisson(self.rate, validate_args=False).sample(
            torch.Size(sample_shape)
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """Log p(x), one number for every cell and gene."""
        value = dense(value)
        return value * torch.log(self.rate + EPS) - self.rate - torch.lgamma(value + 1)

    def cell_log_prob(self, x: Tensor) -> Float[Tensor, "*samples cells"]:
        """Log p(x | z) of every cell; log μ and log x! at the non-zero counts alone."""
        at = Nonzeros(x)
        positive = at.values * torch.log(at.take(self.rate) + EPS) - torch.lgamma(at.values + 1)
        return at.sum_by_cell(positive) - self.rate.sum(-1)


class PoissonLikelihood(Likelihood):
    """p(x | z, c) = Poisson(depth · ρ(z, c)).

    Parameters
    ----------
    n_hidden, n_genes, shares
        As in :class:`~mixvi.distributions.NegativeBinomialLikelihood`.
    """

    def __init__(self, n_hidden: int, n_genes: int, *, shares: bool = True):
        super().__init__()
        self.rate = CountRate(n_hidden, n_genes, shares=shares)

    @property
    def head(self) -> nn.Linear:
        """Logits of the expected counts."""
        return self.rate.logits

    def link(self, mean: Tensor) -> Tensor:
        """Logits of expected counts."""
        return self.rate.link(mean)

    def forward(
        self,
        h: Float[Tensor, "*samples cells hidden"],
        log_depth: Float[Tensor, "*samples cells 1"],
    ) -> Poisson:
        """Return p(x | z, c)."""
        return Poisson(*self.rate(h, log_depth))
