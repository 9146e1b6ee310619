"""The recognition model of the RMVE draft: one posterior of z for every component."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float, Int
from scvi import REGISTRY_KEYS
from torch import Tensor, nn
from torch.distributions import Normal

from mixvi._compat import MODULE_KEYS
from mixvi.distributions import GaussianArrow
from mixvi.priors import GaussianMixture
from mixvi.priors.mixture import at_label, fit_classifier

from .mixture_vae import MixtureVAE

__all__ = ["YConditionalArrow", "YConditionalVAE"]


class YConditionalArrow(nn.Module):
    """(h, y) → q(z | x, y = k): the head of q(z | x), shifted by every component in its way.

    The shifts start at zero, so that before the components are started all are alike.

    Parameters
    ----------
    n_hidden, n_latent, n_components
        Width of the encoder's hidden layer, D and K.
    """

    def __init__(self, n_hidden: int, n_latent: int, n_components: int):
        super().__init__()
        self.shared = GaussianArrow(n_hidden, n_latent)
        self.shape = (n_components, n_latent)
        self.shift = nn.Linear(n_hidden, n_components * n_latent)
        nn.init.zeros_(self.shift.weight)
        nn.init.zeros_(self.shift.bias)

    def forward(self, h: Float[Tensor, "*cells n_hidden"]) -> Normal:
        r"""Return the distributions, (\\*cells, K, D)."""
        qz = self.shared(h)
        loc = qz.loc.unsqueeze(-2) + self.shift(h).unflatten(-1, self.shape)
        return Normal(loc, qz.scale.unsqueeze(-2).expand_as(loc), validate_args=False)


class YConditionalVAE(MixtureVAE):
    r"""MixtureVAE with q(z, y | x) = q(y | x) q(z | x, y) (equations 3 and 5 of the RMVE draft).

    .. math::

       \sum_k q(y{=}k|x) \bigl\{ -\log p(x|z_k, c) + \mathrm{KL}(q(z|x,y{=}k) \,\|\, p(z|y{=}k))
       \bigr\} + \mathrm{KL}(q(y|x) \,\|\, p(y))

    with z_k ~ q(z | x, y = k): K passes of the decoder for every training step. Components may
    each pull their own copy of a cell toward them, so they compete less for it than with one
    q(z | x). Everything but training works on the mixture's moments,

    .. math:: q(z|x) \approx N\Bigl(\sum_k q_k m_k, \; \sum_k q_k (s_k^2 + m_k^2)
              - \bigl(\textstyle\sum_k q_k m_k\bigr)^2\Bigr).

    Parameters
    ----------
    y_posterior
        h → logits of q(y | x).
    **kwargs
        As in :class:`MixtureVAE`; ``z_posterior`` is a :class:`YConditionalArrow` and ``prior`` a
        :class:`~mixvi.priors.GaussianMixture`.
    """

    prior: GaussianMixture

    def __init__(self, *, y_posterior: nn.Module, **kwargs: Any):
        super().__init__(**kwargs)
        self.y_posterior = y_posterior

    def _posterior_of_z(self, h: Tensor) -> dict[str, Any]:
        qzy, logits = self.z_posterior(h), self.y_posterior(h)
        q = logits.softmax(-1).unsqueeze(-1)
        loc = (q * qzy.loc).sum(-2)
        variance = (q * (qzy.variance + (qzy.loc - loc.unsqueeze(-2)).square())).sum(-2)
        qz = Normal(loc, variance.sqrt(), validate_args=False)
        return {MODULE_KEYS.QZ_KEY: qz, "qzy": qzy, "y_logits": logits}

    def _mixture_bound(
        self,
        tensors: dict[str, Tensor],
        inference_outputs: dict[str, Any],
        generative_outputs: dict[str, Any],
        labels: Int[Tensor, " cells"] | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        qzy, c = inference_outputs["qzy"], inference_outputs["c"]
        q = at_label(
            inference_outputs["y_logits"], labels, self.prior.components_per_label
        ).softmax(-1)
        z = qzy.rsample().movedim(-2, 0)  # (K, cells, D)
        inputs = self._get_generative_input(tensors, inference_outputs)
        log_depth = inputs["log_depth"].expand(*z.shape[:-1], 1)
        px = self.generative(z, log_depth, c)[MODULE_KEYS.PX_KEY]
        reconstruction = -px.cell_log_prob(tensors[REGISTRY_KEYS.X_KEY]).t()
        return (q * reconstruction).sum(-1), self.prior.conditional_divergence(qzy, q)

    def _class_logits(self, inference_outputs: dict[str, Any]) -> Float[Tensor, "cells K"]:
        return inference_outputs["y_logits"]

    def initialize_(
        self,
        z: Float[Tensor, "cells D"],
        h: Float[Tensor, "cells H"],
        weights: Float[Tensor, "cells K"],
        c: Float[Tensor, "cells C"],
    ) -> None:
        """Start the components, and teach q(y | x) their assignments."""
        super().initialize_(z, h, weights, c)
        fit_classifier(self.y_posterior, h, weights)
