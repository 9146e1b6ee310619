"""Negative binomial counts."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.distributions import Gamma, Poisson, constraints
from torch.types import _size

from .count_rate import CountRate
from .likelihood import EXPLAINED, CellDistribution, Likelihood, Spread
from .log_gamma import log_binomial_coefficient
from .sparse import Nonzeros, dense

__all__ = ["NegativeBinomial", "NegativeBinomialLikelihood", "negative_binomial_log_prob"]

EPS = 1e-8  # keeps log μ finite where the softmax underflows
PRIOR_CELLS = 10  # of the typical overdispersion, with a mean of 1
MIN_THETA, MAX_THETA = 0.01, 1_000.0  # to start from


def negative_binomial_log_prob(x: Tensor, mu: Tensor, theta: Tensor) -> Tensor:
    """Log NB(x | μ, θ), element-wise; the slow twin of ``cell_log_prob``."""
    log_theta_mu = torch.log(theta + mu + EPS)
    return (
        theta * (torch.log(theta + EPS) - log_theta_mu)
        + x * (torch.log(mu + EPS) - log_theta_mu)
        + torch.lgamma(x + theta)
        - torch.lgamma(theta)
        - torch.lgamma(x + 1)
    )


class NegativeBinomial(CellDistribution):
    r"""Counts with mean μ and variance μ + μ²/θ.

    .. math:: p(x) = \frac{\Gamma(x+\theta)}{\Gamma(\theta)\,x!}
              \left(\frac{\theta}{\theta+\mu}\right)^{\theta}
              \left(\frac{\mu}{\theta+\mu}\right)^{x}

    At x = 0 only θ log(θ/(θ+μ)) is left, so the gamma functions are evaluated at the non-zero
    counts alone (about 8 % of a typical matrix).

    Parameters
    ----------
    mu
        Mean, (\*samples, cells, genes), in counts.
    theta
        Inverse dispersion, (genes,) or as ``mu``; large values approach the Poisson distribution.
    scale
        Mean freed of the cell's depth; the mean itself if ``None``.
    """

    arg_constraints = {  # noqa: RUF012
        "mu": constraints.nonnegative,
        "theta": constraints.positive,
        "scale": constraints.nonnegative,
    }
    support = constraints.nonnegative_integer

    def __init__(self, mu: Tensor, theta: Tensor, scale: Tensor | None = None):
        self.mu, self._theta = mu, theta
        self.scale = mu if scale is None else scale
        super().__init__(mu.shape, validate_args=False)

    @property
    def theta(self) -> Tensor:
        """θ, in the shape of μ."""
        return self._theta.expand_as(self.mu)

    @property
    def mean(self) -> Tensor:
        """μ."""
        return self.mu

    @property
    def variance(self) -> Tensor:
        """μ + μ²/θ."""
        return self.mu + self.mu.square() / self.theta

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draw counts as a Poisson of a Gamma."""
        rate = Gamma(self.theta, self.theta / (self.mu + EPS))
        return Poisson(rate.sample(torch.Size(sample_shape)), validate_args=False).sample()

    def log_prob(self, value: Tensor) -> Tensor:
        """Log p(x), one number for every cell and gene."""
        return negative_binomial_log_prob(dense(value), self.mu, self.theta)

    def cell_log_prob(self, x: Tensor) -> Float[Tensor, "*samples cells"]:
        """Log p(x | z) of every cell; see the class for the formula."""
        if self._theta.ndim > 1:
            return self.log_prob(x).sum(-1)
        nonzeros = Nonzeros(x)
        coefficients = log_binomial_coefficient(self._theta, nonzeros.columns, nonzeros.values)
        return _MeanTerms.apply(self.mu, self._theta, nonzeros) + nonzeros.sum_by_cell(coefficients)


class _MeanTerms(torch.autograd.Function):
    r"""What of log p(x) depends on μ, for every cell; its gradient by hand.

    .. math:: -\sum_g \theta_g \log(1 + r_g)
              + \sum_{x_g > 0} x_g \log\frac{\mu_g}{\theta_g + \mu_g},
              \qquad r = \mu / \theta

    .. math:: \frac{\partial}{\partial\mu}
              = -\frac{1}{1+r} + \frac{x}{\mu} - \frac{x}{\theta+\mu}, \qquad
              \frac{\partial}{\partial\theta}
              = \frac{r}{1+r} - \log(1 + r) - \frac{x}{\theta+\mu}

    Autograd would keep and walk a dozen matrices of cells × genes; this needs two.
    """

    @staticmethod
    def forward(ctx: Any, mu: Tensor, theta: Tensor, nonzeros: Nonzeros) -> Tensor:
        ratio = mu / (theta + EPS)
        log_ratio = ratio.log1p()
        at_mu = nonzeros.take(mu) + EPS
        at_total = nonzeros.take(theta) + at_mu
        ctx.save_for_backward(ratio, log_ratio, at_mu, at_total)
        ctx.nonzeros = nonzeros
        positive = nonzeros.sum_by_cell(nonzeros.values * (at_mu / at_total).log())
        return positive - log_ratio @ theta

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        ratio, log_ratio, at_mu, at_total = ctx.saved_tensors
        nonzeros: Nonzeros = ctx.nonzeros
        share = (1 + ratio).reciprocal_()
        # cell by cell: both terms are about r where r is small, and sums of them would not cancel
        excess = (ratio * share).sub_(log_ratio)
        counts = gradient.index_select(-1, nonzeros.rows) * nonzeros.values
        of_theta = gradient.flatten() @ excess.flatten(0, -2)
        of_theta -= nonzeros.sum_by_gene(counts / at_total)
        of_mu = share.mul_(-gradient[..., None])
        nonzeros.add_to_(of_mu, counts / at_mu - counts / at_total)
        return of_mu, of_theta, None


class NegativeBinomialLikelihood(Likelihood):
    """p(x | z, c) = NB(depth · ρ(z, c), θ_g) with one θ for every gene.

    Parameters
    ----------
    n_hidden
        Width of the decoder's hidden layer.
    n_genes
        Number of genes.
    shares
        See :class:`~mixvi.distributions.CountRate`.
    """

    def __init__(self, n_hidden: int, n_genes: int, *, shares: bool = True):
        super().__init__()
        self.rate = CountRate(n_hidden, n_genes, shares=shares)
        self.log_theta = nn.Parameter(torch.zeros(n_genes))

    @property
    def head(self) -> nn.Linear:
        """Logits of the expected counts."""
        return self.rate.logits

    def link(self, mean: Tensor) -> Tensor:
        """Logits of expected counts."""
        return self.rate.link(mean)

    @torch.no_grad()
    def start_at_spread_(self, spread: Spread) -> None:
        r"""Begin with θ_g where the variance beyond Poisson's is, once z explains its part.

        .. math:: \theta_g = \frac{E\,\mu_g^2}{(1 - s)\, (E (x_g - \mu_g)^2 - E\,\mu_g)}

        by the method of moments, with a share s of ⅔ explained; genes with little expression
        start near the median gene, which adds as much to both parts as ten cells with μ = 1.
        """
        excess = (spread.variance - spread.mean).clamp(min=0)
        prior = PRIOR_CELLS / spread.n_cells
        known = (spread.mean_square > prior) & (excess > 0)
        ratio = excess[known] / spread.mean_square[known]
        typical = ratio.median() if known.any() else torch.ones(())
        dispersion = (excess + prior * typical) / (spread.mean_square + prior)
        theta = 1 / ((1 - EXPLAINED) * dispersion).clamp(1 / MAX_THETA, 1 / MIN_THETA)
        self.log_theta.copy_(theta.log())

    def forward(
        self,
        h: Float[Tensor, "*samples cells hidden"],
        log_depth: Float[Tensor, "*samples cells 1"],
    ) -> NegativeBinomial:
        """Return p(x | z, c)."""
        mu, scale = self.rate(h, log_depth)
        return NegativeBinomial(mu, self.log_theta.exp(), scale)
