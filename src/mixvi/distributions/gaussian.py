"""Arrows whose head is a diagonal normal distribution."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Normal

__all__ = ["GaussianArrow"]

MIN_VARIANCE = 1e-4


class GaussianArrow(nn.Module):
    """h → N(A h + a, exp(B h + b) + 1e-4): the posteriors q(z | x), q(w | x), the prior p(w | c).

    Parameters
    ----------
    n_in
        Width of the hidden layer, or number of covariates.
    n_out
        Dimensions of the latent variable.
    """

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.loc = nn.Linear(n_in, n_out)
        self.log_variance = nn.Linear(n_in, n_out)

    def forward(self, h: Float[Tensor, "*cells n_in"]) -> Normal:
        r"""Return the distribution; its ``loc`` and ``scale`` have shape (\\*cells, n_out)."""
        variance = self.log_variance(h).exp() + MIN_VARIANCE
        return Normal(self.loc(h), variance.sqrt(), validate_args=False)
