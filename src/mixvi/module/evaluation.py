"""What is asked of a trained module: draws and likelihoods."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from scvi import REGISTRY_KEYS
from scvi.module.base import auto_move_data
from torch import Tensor

from mixvi._compat import MODULE_KEYS
from mixvi._numbers import check_at_least
from mixvi.priors import LatentPrior

from .frozen import FrozenMixin

__all__ = ["EvaluationMixin"]


class EvaluationMixin(FrozenMixin):
    """Posterior predictive draws, and the likelihood of cells under the module's own prior."""

    prior: LatentPrior

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
