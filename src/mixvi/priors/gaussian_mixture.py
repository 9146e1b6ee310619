"""The Gaussian mixture prior of RMVE, and of VaDE."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Categorical, Normal

from mixvi.distributions import Components
from mixvi.distributions.ranks import mean_over_ranks

from .mixture import USAGE_STEP, MixturePrior
from .points import N_POINTS
from .repulsion import Repulsion

__all__ = ["GaussianMixture"]

MIN_WEIGHT = 1e-6  # of a component that no cell is left in, so that log π stays finite
MAX_OFFSET = 3.0  # standard deviations that the repulsion moves a component at most
MIN_VARIANCE = 0.0025  # about the lower end of what the components allow


class GaussianMixture(MixturePrior):
    r"""p(z) = Σ_k π_k N(μ_k, diag σ²_k), its components held apart by a repulsive prior.

    With q(y | z) by Bayes' rule the divergences are those of VaDE :cite:p:`jiang2017`,

    .. math:: \mathrm{kl}_z + \mathrm{kl}_y = \log q(z|x) - \log\sum_k \pi_k N(z|\mu_k,\sigma_k^2),

    with a network q(y | x) (of the mean of q(z | x)) they are

    .. math:: \mathrm{kl}_z = \sum_k q_k \mathrm{KL}(q(z|x) \,\|\, N(\mu_k, \sigma_k^2)), \quad
              \mathrm{kl}_y = \mathrm{KL}(q(y|x) \,\|\, \pi).

    Given the responsibilities the best μ_k and σ²_k are the moments of their cells (Lemma 1). They
    are followed over the mini-batches, each component by its own running number of cells n_k,

    .. math:: \mu_k \leftarrow \mu_k + \eta\, \frac{\sum_n q_{nk} (m_{nk} - \mu_k)}{n_k}

    and not by the gradient, which is proportional to the number of cells, so that small clusters
    would lag behind. m is the mean of q(z | x) where the responsibilities are a function of x. By
    Bayes' rule they are one of z, and m is the sampled z that they belong to: with the mean in its
    place wide posteriors would draw the components together.

    Repulsion moves the maximum of −kl_z + λ log h off the mean of the cells, by
    (σ²_k/π_k) λ ∂ log h/∂μ_k; this offset is followed with the same η (undamped it would swing from
    side to side where components are close) and is at most 3 standard deviations.

    Parameters
    ----------
    components
        p(z | y).
    classifier
        Network from the mean of q(z | x) to the logits of q(y | x), or ``None`` for Bayes' rule.
    repulsion
        log h(μ, σ²), or ``None``.
    strength
        λ in nats per cell. The prior of a data set of n cells would weigh 1/n, and do nothing;
        λ is a tempered weight.
    components_per_label
        Components of one label, where there are labels.
    """

    counts: Tensor
    first: Tensor
    second: Tensor
    push: Tensor

    def __init__(
        self,
        components: Components,
        *,
        classifier: nn.Module | None = None,
        repulsion: Repulsion | None = None,
        strength: float = 1.0,
        components_per_label: int = 1,
    ):
        super().__init__(
            components, classifier=classifier, components_per_label=components_per_label
        )
        self.repulsion, self.strength = repulsion, strength
        for parameter in components.parameters():
            parameter.requires_grad_(False)
        zeros = torch.zeros_like(components.loc, requires_grad=False)
        self.register_buffer("counts", zeros[:, 0].clone())
        for name in ("first", "second", "push"):
            self.register_buffer(name, zeros.clone())
        self._rest_()

    def divergence(
        self,
        qz: Normal,
        z: Float[Tensor, "cells D"],
        h: Float[Tensor, "cells H"],
        c: Float[Tensor, "cells C"],
        labels: Int[Tensor, " cells"] | None = None,
    ) -> dict[str, Tensor]:
        """``kl_z``, ``kl_y`` and, where there is one, ``repulsion``: −λ log h for every cell."""
        q = self._probs(self.recognition(qz, z, c), labels)
        if self.classifier is None:
            log_qz = qz.log_prob(z).sum(-1)
            kl_z = log_qz - (q * self.components.log_prob(z)).sum(-1)
            at: tuple[Tensor, Tensor] = (z, z.square())
        else:
            kl_z = (q * self.components.kl(qz)).sum(-1)
            at = _moments(qz)
        terms = self._with_shared(kl_z, q)
        self._follow_(q, *at)
        return terms

    def recognition(
        self, qz: Normal, z: Float[Tensor, "cells D"], c: Float[Tensor, "cells C"]
    ) -> Categorical:
        """q(y | z) at the sampled z by Bayes' rule, or the network's q(y | x)."""
        return self.assignment(z if self.classifier is None else qz.loc, c)

    def responsibilities(
        self, qz: Normal, c: Float[Tensor, "cells C"], n_points: int = N_POINTS
    ) -> Float[Tensor, "cells K"]:
        """q(y | x): Bayes' rule averaged over q(z | x), or the network's."""
        if self.classifier is None:
            return super().responsibilities(qz, c, n_points)
        return self.assignment(qz.loc, c).probs

    def conditional_divergence(self, qz: Normal, q: Float[Tensor, "cells K"]) -> dict[str, Tensor]:
        """The same terms for a recognition q(y | x) q(z | x, y).

        Parameters
        ----------
        qz
            q(z | x, y = k), cells × K × D.
        q
            q(y | x).
        """
        p = self.components()
        ratio = (qz.scale / p.scale).square()
        distance = ((qz.loc - p.loc) / p.scale).square()
        kl = 0.5 * (ratio + distance - 1 - ratio.log()).sum(-1)
        terms = self._with_shared((q * kl).sum(-1), q)
        self._follow_(q, *_moments(qz))
        return terms

    def weights(self) -> Float[Tensor, " K"]:
        """π."""
        weights = self.usage.clamp(min=MIN_WEIGHT)
        return weights / weights.sum()

    def initialize_(
        self,
        z: Float[Tensor, "cells D"],
        weights: Float[Tensor, "cells K"],
        c: Float[Tensor, "cells C"],
    ) -> None:
        """Start the components and the running moments from the assigned cells."""
        super().initialize_(z, weights, c)
        self._rest_()

    def log_repulsion(self) -> Float[Tensor, ""]:
        """Log h of the components, 0 without repulsion."""
        if self.repulsion is None:
            return self.usage.new_zeros(())
        p = self.components()
        return self.repulsion(p.loc, p.scale.square())

    def _with_shared(self, kl_z: Tensor, q: Tensor) -> dict[str, Tensor]:
        log_ratio = q.clamp(min=1e-30).log() - self.weights().log()
        terms = {"kl_z": kl_z, "kl_y": (q * log_ratio).sum(-1)}
        if self.repulsion is not None:
            terms["repulsion"] = (-self.strength * self.log_repulsion()).expand_as(kl_z)
        return terms

    @torch.no_grad()
    def _rest_(self) -> None:
        """Make the running moments those of the components, which nothing pushes yet."""
        p = self.components()
        self.counts.copy_(self.weights())
        self.push.zero_()
        self.first.copy_(self.counts[:, None] * p.loc)
        self.second.copy_(self.counts[:, None] * (p.loc.square() + p.scale.square()))

    def _follow_(self, q: Tensor, first: Tensor, second: Tensor) -> None:
        """One step of the moments, from z and z², cells × D or cells × K × D."""
        if self._count_(q):
            with torch.no_grad():
                sums = "nk,nd->kd" if first.ndim == 2 else "nk,nkd->kd"
                q = q / len(q)
                for running, now in (
                    (self.counts, q.sum(0)),
                    (self.first, torch.einsum(sums, q, first)),
                    (self.second, torch.einsum(sums, q, second)),
                ):
                    running.lerp_(mean_over_ranks(now), USAGE_STEP)
                self._set_components_()

    def _set_components_(self) -> None:
        """Put the components at the running moments, pushed apart."""
        share = self.counts[:, None].clamp(min=MIN_WEIGHT)
        mean = self.first / share
        variance = (self.second / share - mean.square()).clamp(min=MIN_VARIANCE)
        if self.repulsion is not None:
            self.push.lerp_(self._force(self.repulsion, share), USAGE_STEP)
            mean = mean + self.push
        # without cells there are no moments, and a component stays where it is
        gone = self.counts[:, None] <= MIN_WEIGHT
        p = self.components()
        mean = torch.where(gone, p.loc, mean)
        variance = torch.where(gone, p.scale.square(), variance)
        self.components.set_moments_(self.counts, mean, variance)

    @torch.enable_grad()
    def _force(self, repulsion: Repulsion, share: Tensor) -> Tensor:
        """λ σ²/π ∂ log h/∂μ: how far off its own cells the repulsion holds a component."""
        at = self.components.loc.detach().clone().requires_grad_()
        scale = self.components().scale.detach()
        (slope,) = torch.autograd.grad(repulsion(at, scale.square()), at)
        offset = self.strength * scale / share * slope  # in standard deviations
        length = offset.norm(dim=-1, keepdim=True).clamp(min=MAX_OFFSET)
        return scale * offset * (MAX_OFFSET / length)


def _moments(qz: Normal) -> tuple[Tensor, Tensor]:
    """E z and E z²."""
    return qz.loc, qz.loc.square() + qz.scale.square()
