"""Zero-inflated negative binomial counts."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Bernoulli, constraints
from torch.nn.functional import softplus
from torch.types import _size

from .likelihood import Likelihood, Spread
from .negative_binomial import (
    EPS,
    NegativeBinomial,
    NegativeBinomialLikelihood,
    negative_binomial_log_prob,
)
from .sparse import Nonzeros, dense

__all__ = ["ZeroInflatedNegativeBinomial", "ZeroInflatedNegativeBinomialLikelihood"]

START_LOGIT = -4.0  # of losing a count: few are lost, until the data say more


class ZeroInflatedNegativeBinomial(NegativeBinomial):
    r"""A negative binomial whose counts are lost with probability π = sigmoid(logit).

    .. math:: p(x) = \pi\,[x = 0] + (1 - \pi)\,\mathrm{NB}(x \mid \mu, \theta)

    Parameters
    ----------
    mu, theta, scale
        As in :class:`~mixvi.distributions.NegativeBinomial`, before the loss.
    zi_logits
        logit π, (\*samples, cells, genes).
    """

    arg_constraints = {  # noqa: RUF012
        **NegativeBinomial.arg_constraints,
        "zi_logits": constraints.real,
    }

    def __init__(self, mu: Tensor, theta: Tensor, zi_logits: Tensor, scale: Tensor | None = None):
        self.zi_logits = zi_logits
        super().__init__(mu, theta, scale)

    @property
    def zi_probs(self) -> Tensor:
        """π."""
        return self.zi_logits.sigmoid()

    @property
    def mean(self) -> Tensor:
        """(1 − π) μ."""
        return (1 - self.zi_probs) * self.mu

    @property
    def variance(self) -> Tensor:
        """(1 − π) μ (1 + μ (π + 1/θ))."""
        return self.mean * (1 + self.mu * (self.zi_probs + 1 / self.theta))

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draw counts and lose some."""
        kept = Bernoulli(logits=-self.zi_logits).sample(torch.Size(sample_shape))
        return super().sample(sample_shape) * kept

    def _log_prob_zero(self) -> Tensor:
        log_zero = self._theta * (
            torch.log(self._theta + EPS) - torch.log(self._theta + self.mu + EPS)
        )
        return softplus(log_zero - self.zi_logits) - softplus(-self.zi_logits)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log p(x), one number for every cell and gene."""
        value = dense(value)
        positive = negative_binomial_log_prob(value, self.mu, self.theta) - softplus(self.zi_logits)
        return torch.where(value > 0, positive, self._log_prob_zero())

    def cell_log_prob(self, x: Tensor) -> Float[Tensor, "*samples cells"]:
        """Log p(x | z) of every cell: zeros everywhere, corrected at the non-zero counts."""
        at = Nonzeros(x)
        zero = self._log_prob_zero()
        positive = negative_binomial_log_prob(
            at.values, at.take(self.mu), at.take(self._theta)
        ) - softplus(at.take(self.zi_logits))
        # a compressed x may store a 0, which is no positive count
        correction = torch.where(at.values > 0, positive - at.take(zero), 0.0)
        return zero.sum(-1) + at.sum_by_cell(correction)


class ZeroInflatedNegativeBinomialLikelihood(Likelihood):
    """p(x | z, c) = ZINB(depth · ρ(z, c), θ_g, π(z, c)).

    Parameters
    ----------
    n_hidden, n_genes, shares
        As in :class:`~mixvi.distributions.NegativeBinomialLikelihood`.
    """

    def __init__(self, n_hidden: int, n_genes: int, *, shares: bool = True):
        super().__init__()
        self.counts = NegativeBinomialLikelihood(n_hidden, n_genes, shares=shares)
        self.dropout_logits = nn.Linear(n_hidden, n_genes)
        nn.init.constant_(self.dropout_logits.bias, START_LOGIT)

    @property
    def head(self) -> nn.Linear:
        """Logits of the expected counts before the loss."""
        return self.counts.head

    def link(self, mean: Tensor) -> Tensor:
        """As of the negative binomial: to start from, hardly anything is lost."""
        return self.counts.link(mean)

    def start_at_spread_(self, spread: Spread) -> None:
        """As the negative binomial does."""
        self.counts.start_at_spread_(spread)

    def forward(
        self,
        h: Float[Tensor, "*samples cells hidden"],
        log_depth: Float[Tensor, "*samples cells 1"],
    ) -> ZeroInflatedNegativeBinomial:
        """Return p(x | z, c)."""
        counts = self.counts(h, log_depth)
        return ZeroInflatedNegativeBinomial(
            counts.mu, counts.theta, self.dropout_logits(h), counts.scale
        )
