r"""What stands above y: p(y | d) = Cat(d), p(d) = Dir(α, …, α), in four forms.

d is always integrated out. With q = q(y | z) and a variational Dir(a) for d,

.. math::

   \mathrm{kl}_y &= \sum_k q_k \bigl(\log q_k - [\psi(a_k) - \psi(\textstyle\sum_j a_j)]\bigr) \\
   \mathrm{kl}_d &= \mathrm{KL}(\mathrm{Dir}(a) \,\|\, \mathrm{Dir}(\alpha, \dots, \alpha))

and the forms differ in where a comes from.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from jaxtyping import Float
from scipy import special
from torch import Tensor, nn
from torch.distributions import Dirichlet
from torch.nn.functional import softplus

from mixvi.distributions.log_gamma import gamma_functions_near
from mixvi.distributions.ranks import mean_over_ranks

__all__ = [
    "CollapsedDirichlet",
    "GlobalDirichlet",
    "MixtureWeights",
    "NetworkDirichlet",
    "UniformWeights",
    "collapsed_penalty",
]


def collapsed_penalty(q: Float[Tensor, "*cells K"], alpha: float) -> Float[Tensor, "*cells"]:
    r"""C_α(q): kl_y + kl_d at their minimum over a, which is a = α + q.

    .. math:: C_\alpha(q) = -H(q) + \ln\Gamma(K\alpha+1) - \ln\Gamma(K\alpha)
              + \sum_k [\ln\Gamma(\alpha) - \ln\Gamma(\alpha+q_k)]

    ln K for a one-hot q whatever α; a one-hot q is cheaper than a uniform one only below an α*
    that falls slowly with K (.233 for K = 10).

    Parameters
    ----------
    q
        Responsibilities, rows sum to 1.
    alpha
        Concentration, > 0.
    """
    k_alpha = q.shape[-1] * alpha
    per_component = _log(q) * q + math.lgamma(alpha) - torch.lgamma(alpha + q)
    return per_component.sum(-1) + math.lgamma(k_alpha + 1) - math.lgamma(k_alpha)


def _log(q: Tensor) -> Tensor:
    """Log q_k, with a finite gradient where a responsibility underflows to 0."""
    return q.clamp(min=1e-30).log()


def _kl_y(q: Tensor, expected_log_d: Tensor) -> Tensor:
    return (q * (_log(q) - expected_log_d)).sum(-1)


def _expected_log_d(a: Tensor) -> Tensor:
    return torch.digamma(a) - torch.digamma(a.sum(-1, keepdim=True))


def _kl_d(a: Tensor, alpha: float, expected_log_d: Tensor) -> Tensor:
    """KL(Dir(a) ‖ Dir(α, …, α)), from E log d under Dir(a)."""
    k = a.shape[-1]
    log_norm = torch.lgamma(a.sum(-1)) - torch.lgamma(a).sum(-1)
    log_norm_prior = math.lgamma(k * alpha) - k * math.lgamma(alpha)
    return log_norm - log_norm_prior + ((a - alpha) * expected_log_d).sum(-1)


class MixtureWeights(nn.Module):
    """How the components' weights are modeled.

    Parameters
    ----------
    n_components
        K.
    """

    def __init__(self, n_components: int):
        super().__init__()
        self.n_components = n_components

    @abstractmethod
    def divergence(
        self, q: Float[Tensor, "cells K"], z: Float[Tensor, "cells D"]
    ) -> dict[str, Tensor]:
        """``kl_y`` (and ``kl_d`` where d is the cell's own), one number per cell, in nats."""

    def expected(self) -> Float[Tensor, " K"]:
        """p(y = k), d integrated out: 1/K under a symmetric Dirichlet of the cell's own."""
        return torch.full((self.n_components,), 1 / self.n_components)

    def log_density(self) -> Float[Tensor, ""]:
        """−KL of what is shared by the data set, counted once."""
        return torch.zeros(())

    def initialize_(self, counts: Float[Tensor, " K"]) -> None:
        """Start from the number of cells in every component."""


class UniformWeights(MixtureWeights):
    """No d: p(y) = 1/K, as in the GMVAE :cite:p:`dilokthanakul2016`; the limit α → ∞."""

    def divergence(
        self, q: Float[Tensor, "cells K"], z: Float[Tensor, "cells D"]
    ) -> dict[str, Tensor]:
        """KL(q(y | z) ‖ uniform)."""
        uniform = -torch.log(torch.full_like(q[..., :1], self.n_components))
        return {"kl_y": _kl_y(q, uniform)}


class CollapsedDirichlet(MixtureWeights):
    """A d of every cell's own with its best posterior a = α + q put in: exact, no network.

    Parameters
    ----------
    n_components
        K.
    alpha
        Concentration, > 0. Large: all components alike. Below about .2 a cell is pushed to
        belong to one component.
    """

    def __init__(self, n_components: int, alpha: float):
        super().__init__(n_components)
        self.alpha = alpha

    def divergence(
        self, q: Float[Tensor, "cells K"], z: Float[Tensor, "cells D"]
    ) -> dict[str, Tensor]:
        """``kl_y`` and ``kl_d``; their sum is :func:`collapsed_penalty`."""
        # a is the minimizer, so the gradient of the sum with respect to q is the one at fixed a
        log_gamma, digamma = gamma_functions_near(self.alpha, q)
        total = self.n_components * self.alpha
        log_d = digamma - float(special.digamma(total + 1))
        log_norms = math.lgamma(total + 1) - math.lgamma(total)  # of Dir(a), less that of Dir(α)
        kl_d = (q.detach() * log_d + math.lgamma(self.alpha) - log_gamma).sum(-1) + log_norms
        return {"kl_y": _kl_y(q, log_d), "kl_d": kl_d}


class NetworkDirichlet(MixtureWeights):
    """A d of every cell's own with q(d | z) = Dir(a(z)) from a network: the thesis's form.

    Parameters
    ----------
    n_components, alpha
        As in :class:`CollapsedDirichlet`.
    n_latent
        D.
    n_hidden
        Width of the network.
    """

    def __init__(self, n_components: int, alpha: float, n_latent: int, n_hidden: int = 64):
        super().__init__(n_components)
        self.alpha = alpha
        self.network = nn.Sequential(
            nn.Linear(n_latent, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_components)
        )

    def posterior(self, z: Float[Tensor, "*cells D"]) -> Dirichlet:
        """q(d | z)."""
        return Dirichlet(softplus(self.network(z)) + 1e-3, validate_args=False)

    def divergence(
        self, q: Float[Tensor, "cells K"], z: Float[Tensor, "cells D"]
    ) -> dict[str, Tensor]:
        """``kl_y`` and ``kl_d`` at a = a(z)."""
        a = self.posterior(z).concentration
        log_d = _expected_log_d(a)
        return {"kl_y": _kl_y(q, log_d), "kl_d": _kl_d(a, self.alpha, log_d)}


class GlobalDirichlet(MixtureWeights):
    r"""One d for the whole data set, with a variational Dir(a): the form that prunes components.

    Given the responsibilities the best a is α + Σ_n q_n. It is followed over mini-batches B by

    .. math:: a \leftarrow (1-\rho)\,a + \rho\,(\alpha + n\,\textstyle\sum_{b \in B} q_b / |B|)

    (stochastic variational inference :cite:p:`hoffman2013`): a natural gradient step, so it has
    a step size of its own and no gradient.

    Parameters
    ----------
    n_components
        K.
    alpha
        Concentration, > 0; small values let components without cells die.
    step
        ρ, the weight of one mini-batch.
    """

    concentration: Tensor
    n_obs: Tensor

    def __init__(self, n_components: int, alpha: float, step: float = 0.02):
        super().__init__(n_components)
        self.alpha, self.step = alpha, step
        self.register_buffer("concentration", torch.full((n_components,), alpha + 1.0))
        self.register_buffer("n_obs", torch.tensor(float(n_components)))

    def divergence(
        self, q: Float[Tensor, "cells K"], z: Float[Tensor, "cells D"]
    ) -> dict[str, Tensor]:
        """``kl_y`` per cell; moves a by one step while training."""
        if self.training and torch.is_grad_enabled():
            target = self.alpha + self.n_obs * mean_over_ranks(q.detach().mean(0))
            self.concentration.lerp_(target, self.step)
        return {"kl_y": _kl_y(q, _expected_log_d(self.concentration))}

    def expected(self) -> Float[Tensor, " K"]:
        """E d under Dir(a)."""
        return self.concentration / self.concentration.sum()

    def log_density(self) -> Float[Tensor, ""]:
        """−KL(Dir(a) ‖ Dir(α))."""
        log_d = _expected_log_d(self.concentration)
        return -_kl_d(self.concentration, self.alpha, log_d)

    def initialize_(self, counts: Float[Tensor, " K"]) -> None:
        """Set a = α + counts."""
        self.concentration.copy_(self.alpha + counts)
        self.n_obs.copy_(counts.sum())
