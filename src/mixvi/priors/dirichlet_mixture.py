"""The Dirichlet mixture prior of CGMDVAE."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from mixvi.distributions import Components, GaussianArrow

from .dirichlet import GlobalDirichlet, MixtureWeights
from .mixture import MixturePrior

__all__ = ["DirichletMixture"]


class DirichletMixture(MixturePrior):
    r"""p(w) p(d) p(y | d) p(z | w, y), recognized by q(w | x) q(y | z) q(d | ·).

    .. math::

       \mathrm{kl}_z = \sum_k q_k\, \mathrm{KL}(q(z|x) \,\|\, p(z|w, y{=}k)), \quad
       \mathrm{kl}_w = \mathrm{KL}(q(w|x) \,\|\, p(w|c)), \quad q_k = q(y{=}k \mid z)

    with ``kl_y`` and ``kl_d`` of the :class:`~mixvi.priors.MixtureWeights`. Only w (and z, below)
    is sampled: y is summed out and d integrated. Equations 8 to 16 of :cite:t:`kolb2023`.

    q(y | z) is Bayes' rule with w at the mean of its prior unless a ``classifier`` is given.

    Parameters
    ----------
    components
        p(z | w, y).
    mixture_weights
        What stands above y.
    style_posterior
        q(w | x) from the encoder's hidden layer, or ``None`` for no style.
    style_prior
        p(w | c) from the covariates, or ``None`` for N(0, I).
    classifier
        Network z → logits of q(y | z) (the thesis's form), or ``None`` for Bayes' rule.
    conditioned
        Whether p(z | w, y) and the classifier see the covariates too (appended to w and z).
    components_per_label
        Components of one label, where there are labels.
    """

    def __init__(
        self,
        components: Components,
        mixture_weights: MixtureWeights,
        *,
        style_posterior: GaussianArrow | None = None,
        style_prior: GaussianArrow | None = None,
        classifier: nn.Module | None = None,
        conditioned: bool = False,
        components_per_label: int = 1,
    ):
        super().__init__(
            components, classifier=classifier, components_per_label=components_per_label
        )
        self.n_style = 0 if style_posterior is None else style_posterior.loc.out_features
        self.mixture_weights = mixture_weights
        self.prunes = isinstance(mixture_weights, GlobalDirichlet)
        self.style_posterior = style_posterior
        self.style_prior = style_prior
        self.conditioned = conditioned

    def divergence(
        self,
        qz: Normal,
        z: Float[Tensor, "cells D"],
        h: Float[Tensor, "cells H"],
        c: Float[Tensor, "cells C"],
        labels: Int[Tensor, " cells"] | None = None,
    ) -> dict[str, Tensor]:
        """``kl_z``, ``kl_w`` (with a style), ``kl_y`` and ``kl_d`` (where d is the cell's own).

        For a cell with a label q(y | z) is restricted to the label's components.
        """
        qw = self.style(h) if self.n_style else None
        w = None if qw is None else qw.rsample()
        q = self._probs(self.assignment(z, c), labels)
        self._count_(q)
        kl_z = (q * self.components.kl(qz, self._append(w, c))).sum(-1)
        return {
            "kl_z": kl_z,
            **self._style_divergence(qw, c),
            **self.mixture_weights.divergence(q, z),
        }

    def style_divergence(
        self, h: Float[Tensor, "cells H"], c: Float[Tensor, "cells C"]
    ) -> dict[str, Tensor]:
        """``kl_w``, where there is a style."""
        return self._style_divergence(self.style(h) if self.n_style else None, c)

    def _style_divergence(self, qw: Normal | None, c: Tensor) -> dict[str, Tensor]:
        return {} if qw is None else {"kl_w": kl_divergence(qw, self._style_prior(c)).sum(-1)}

    def log_weight(
        self,
        z: Float[Tensor, "*cells D"],
        h: Float[Tensor, "cells H"],
        c: Float[Tensor, "cells C"],
    ) -> Float[Tensor, "*cells"]:
        """Log p(z | w) + log p(w | c) − log q(w | x) for a w ~ q(w | x)."""
        if not self.n_style:
            return self.log_prob(z, c)
        qw, pw = self.style(h), self._style_prior(c)
        w = qw.sample(z.shape[:-2])
        log_ratio = (pw.log_prob(w) - qw.log_prob(w)).sum(-1)
        return self._log_joint(z, self._append(w, c)).logsumexp(-1) + log_ratio

    def log_density(self) -> Float[Tensor, ""]:
        """The global Dirichlet's −KL; 0 in the other forms."""
        return self.mixture_weights.log_density().to(self.components.loc.device)

    def weights(self) -> Float[Tensor, " K"]:
        """p(y = k), d integrated out."""
        return self.mixture_weights.expected()

    def style(self, h: Float[Tensor, "cells H"]) -> Normal:
        """q(w | x)."""
        if self.style_posterior is None:
            return super().style(h)
        return self.style_posterior(h)

    def conditional_means(
        self, w: Float[Tensor, "cells W"] | None, c: Float[Tensor, "cells C"]
    ) -> Float[Tensor, "cells K D"]:
        """E p(z | w, y = k, c) of every component; ``w`` is ``None`` without a style."""
        loc = self.components(self._append(w, c)).loc
        return loc.expand(c.shape[0], self.n_components, self.n_latent)

    def initialize_(
        self,
        z: Float[Tensor, "cells D"],
        weights: Float[Tensor, "cells K"],
        c: Float[Tensor, "cells C"],
    ) -> None:
        """Start the components, and the Dirichlet from the number of cells in each."""
        super().initialize_(z, weights, c)
        self.mixture_weights.initialize_(weights.sum(0))

    def _style_prior(self, c: Tensor) -> Normal:
        if self.style_prior is not None:
            return self.style_prior(c)
        # not c.new_zeros, which would count as a dependence on c where graphs are traced
        zeros = torch.zeros(c.shape[0], self.n_style, dtype=c.dtype, device=c.device)
        return Normal(zeros, torch.ones_like(zeros), validate_args=False)

    def _center_context(self, c: Tensor) -> Tensor | None:
        if self.style_prior is None and not self.conditioned:
            return None  # the mean of N(0, I), where the components rest
        return self._append(self._style_prior(c).loc if self.n_style else None, c)

    def _drawn_context(self, c: Tensor) -> Tensor | None:
        return self._append(self._style_prior(c).sample() if self.n_style else None, c)

    def _seen(self, z: Tensor, c: Tensor) -> Tensor:
        seen = self._append(z, c)
        return z if seen is None else seen

    def _append(self, value: Tensor | None, c: Tensor) -> Tensor | None:
        """``value`` with the covariates behind it, where the arrows above z see them."""
        if not self.conditioned:
            return value
        if value is None:
            return c
        return torch.cat([value, c.expand(*value.shape[:-1], c.shape[-1])], -1)
