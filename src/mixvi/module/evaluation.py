"""What is asked of a trained module: posteriors, draws and likelihoods."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from scvi import REGISTRY_KEYS
from scvi.module.base import auto_move_data
from torch import Tensor
from torch.distributions import Normal

from mixvi._compat import MODULE_KEYS
from mixvi._numbers import check_at_least
from mixvi.priors import LatentPrior

from .frozen import FrozenMixin

__all__ = ["EvaluationMixin", "stored_posterior"]


class EvaluationMixin(FrozenMixin):
    """Posteriors, posterior predictive draws, and likelihoods under the module's own prior."""

    prior: LatentPrior

    def posterior(self, tensors: dict[str, Tensor]) -> dict[str, Any]:
        """Q(z | x) and, where it is not stored, the hidden layer; the covariates.

        What :meth:`inference` says of cells but for a draw of z and the library size, which cost as
        much as a tenth of it: to annotate cells nobody asks for them.
        """
        device = next(self.parameters()).device
        inputs = {
            name: value.to(device) for name, value in self._get_inference_input(tensors).items()
        }
        if MODULE_KEYS.QZM_KEY in inputs:
            moments = inputs[MODULE_KEYS.QZM_KEY], inputs[MODULE_KEYS.QZV_KEY]
            return {MODULE_KEYS.QZ_KEY: stored_posterior(*moments), "c": inputs["c"]}
        return {**self._encode(inputs[MODULE_KEYS.X_KEY], inputs["c"]), "c": inputs["c"]}

    @abstractmethod
    def _encode(self, x: Tensor, c: Float[Tensor, "cells C"]) -> dict[str, Any]:
        """X → q(z | x) and the hidden layer."""

    @torch.inference_mode()
    def sample(
        self,
        tensors: dict[str, Tensor],
        n_samples: int = 1,
        generative_kwargs: dict | None = None,
    ) -> Tensor:
        """Posterior predictive draws, on the CPU: (cells, genes) or (cells, genes, samples)."""
        check_at_least(1, n_samples=n_samples)
        _, generative_outputs = self.forward(
            tensors,
            inference_kwargs={"n_samples": n_samples},
            generative_kwargs=generative_kwargs,
            compute_loss=False,
        )
        samples = generative_outputs[MODULE_KEYS.PX_KEY].sample()
        return (samples.permute(1, 2, 0) if n_samples > 1 else samples).cpu()

    @torch.inference_mode()
    @auto_move_data
    def marginal_ll(
        self,
        tensors: dict[str, Tensor],
        n_mc_samples: int,
        return_mean: bool = False,
        n_mc_samples_per_pass: int = 10,
    ) -> Float[Tensor, " cells"] | float:
        r"""Importance-weighted log p(x | c) under this module's own prior.

        .. math:: \log \frac1S \sum_s \frac{p(x|z_s,c)\,\hat p(z_s|c)}{q(z_s|x)},
                  \quad z_s \sim q(z|x)

        with the estimate p̂ of :meth:`mixvi.priors.LatentPrior.log_weight`.
        """
        check_at_least(1, n_mc_samples=n_mc_samples, n_mc_samples_per_pass=n_mc_samples_per_pass)
        x = tensors[REGISTRY_KEYS.X_KEY]
        inputs = self._get_inference_input(tensors, full_forward_pass=True)
        log_weights = []
        remaining = n_mc_samples
        while remaining > 0:
            n_samples = min(n_mc_samples_per_pass, remaining)
            remaining -= n_samples
            # asked for one sample, scvi-tools' convention drops the sample dimension
            inference = self.inference(**inputs, n_samples=max(n_samples, 2))
            generative = self.generative(**self._get_generative_input(tensors, inference))
            z, qz = inference[MODULE_KEYS.Z_KEY], inference[MODULE_KEYS.QZ_KEY]
            log_weight = (
                generative[MODULE_KEYS.PX_KEY].cell_log_prob(x)
                + self.prior.log_weight(z, inference["h"], inference["c"])
                - qz.log_prob(z).sum(-1)
            )
            log_weights.append(log_weight[:n_samples])
        log_lik = torch.cat(log_weights).logsumexp(0) - math.log(n_mc_samples)
        return log_lik.mean().item() if return_mean else log_lik.cpu()


def stored_posterior(qzm: Float[Tensor, "cells D"], qzv: Float[Tensor, "cells D"]) -> Normal:
    """Q(z | x) from its stored mean and variance."""
    return Normal(qzm, qzv.sqrt(), validate_args=False)
