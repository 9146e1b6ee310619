"""The module of the whole family: encoder, decoder, likelihood and a latent prior."""

from __future__ import annotations

from typing import Any, SupportsInt

import torch
from jaxtyping import Float, Int
from scvi import REGISTRY_KEYS
from scvi.module.base import LossOutput, auto_move_data
from scvi.utils import unsupported_if_adata_minified
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional

from mixvi._compat import MODULE_KEYS
from mixvi.distributions import HiddenLayers, Likelihood
from mixvi.distributions.precision import full_precision, in_full_precision
from mixvi.distributions.sparse import map_nonzeros, row_sums
from mixvi.priors import LatentPrior, StandardPrior

from .covariates import Covariates
from .earlier import EarlierFormatsMixin
from .evaluation import EvaluationMixin, stored_posterior
from .independence import Independence
from .supervision import SupervisionMixin

__all__ = ["MixtureVAE"]


class MixtureVAE(SupervisionMixin, EvaluationMixin, EarlierFormatsMixin):
    r"""A VAE whose z has something richer than N(0, I) above it.

    .. math:: \mathrm{loss} = \frac{1}{B}\sum_{\mathrm{cells}}
              \Bigl[-\log p(x|z,c) + \beta \sum_{\mathrm{terms}} \mathrm{kl} \Bigr]
              - \frac{1}{n}\log p(\text{prior's parameters})

    Every term is logged under its own name.

    Parameters
    ----------
    encoder
        x (and c where ``encode_covariates``) → hidden layer h.
    z_posterior
        h → q(z | x), for example a :class:`~mixvi.distributions.GaussianArrow`.
    decoder
        (z, c) → hidden layer.
    likelihood
        Hidden layer of the decoder, depth → p(x | z, c).
    prior
        Everything above z.
    covariates
        How c is made of the registered covariates.
    encode_covariates
        Whether the encoder sees c. If not, a cell of an unseen batch can be encoded as it is.
    use_size_factor
        Whether the depth is a registered size factor instead of the observed library size.
    input_dropout
        Share of a cell's input entries that the encoder does not see in training.
    n_labels
        Number of known labels; the first components are tied to them. 0: unsupervised.
    label_weight
        α, the weight of −log q(y | z) at the label of a labeled cell, times ``class_weights``.
    independence_weight
        Weight of :class:`~mixvi.module.Independence` of z and the batch; 0: not computed.
    """

    pretraining_prior: LatentPrior

    def __init__(
        self,
        encoder: HiddenLayers,
        z_posterior: nn.Module,
        decoder: HiddenLayers,
        likelihood: Likelihood,
        prior: LatentPrior,
        covariates: Covariates,
        *,
        gene_likelihood: str,
        encode_covariates: bool = False,
        use_size_factor: bool = False,
        input_dropout: float = 0.0,
        n_labels: int = 0,
        label_weight: float = 1.0,
        independence_weight: float = 0.0,
    ):
        super().__init__()
        self.encoder, self.z_posterior = encoder, z_posterior
        self.decoder, self.likelihood = decoder, likelihood
        self.prior = prior
        self.pretraining, self.pretraining_prior = False, StandardPrior(prior.n_latent)
        self.covariates = covariates
        self.encode_covariates = encode_covariates
        self.use_size_factor = use_size_factor
        self.input_dropout = nn.Dropout(input_dropout)
        self.n_labels, self.label_weight = n_labels, label_weight
        self.register_buffer("class_weights", torch.ones(n_labels))
        self.independence_weight = independence_weight
        asked = independence_weight > 0 and covariates.n_batch > 1
        self.independence = Independence(prior.n_latent) if asked else None
        # names that scvi-tools' mixins read
        self.gene_likelihood, self.dispersion = gene_likelihood, "gene"
        self.n_latent, self.n_batch = prior.n_latent, covariates.n_batch
        self.use_observed_lib_size = True
        self.latent_distribution = "normal"
        self.extra_payload_autotune = False

    # inference ------------------------------------------------------------------------------

    def _get_inference_input(
        self, tensors: dict[str, Tensor], full_forward_pass: bool = False
    ) -> dict[str, Tensor]:
        c = self.covariates(tensors)
        if full_forward_pass or self.minified_data_type is None:
            return {MODULE_KEYS.X_KEY: tensors[REGISTRY_KEYS.X_KEY], "c": c}
        return {
            MODULE_KEYS.QZM_KEY: tensors[REGISTRY_KEYS.LATENT_QZM_KEY],
            MODULE_KEYS.QZV_KEY: tensors[REGISTRY_KEYS.LATENT_QZV_KEY],
            "observed_lib_size": tensors[REGISTRY_KEYS.OBSERVED_LIB_SIZE],
            "c": c,
        }

    def _regular_inference(
        self, x: Tensor, c: Float[Tensor, "cells C"], n_samples: int = 1
    ) -> dict[str, Any]:
        """X → q(z | x), a sample of it, the hidden layer and the log library size."""
        posterior = self._encode(x, c)
        qz = posterior[MODULE_KEYS.QZ_KEY]
        if self.likelihood.is_count:
            log_library = row_sums(x).log()
        else:
            log_library = torch.zeros(x.shape[0], 1, dtype=x.dtype, device=x.device)
        return {**posterior, **self._sampled(qz, log_library, n_samples), "c": c}

    def _encode(self, x: Tensor, c: Float[Tensor, "cells C"]) -> dict[str, Any]:
        """X → q(z | x) and the hidden layer."""
        seen = map_nonzeros(x, torch.log1p) if self.likelihood.is_count else x
        if self.training and self.input_dropout.p:
            seen = map_nonzeros(seen, self.input_dropout)
        h = self.encoder(seen, c if self.encode_covariates else None)
        h = h.float() if h.dtype == torch.bfloat16 else h  # in mixed precision
        with full_precision(h.device):
            return {**self._posterior_of_z(h), "h": h}

    def _posterior_of_z(self, h: Float[Tensor, "cells H"]) -> dict[str, Any]:
        """q(z | x)."""
        return {MODULE_KEYS.QZ_KEY: self.z_posterior(h)}

    def _cached_inference(
        self,
        qzm: Float[Tensor, "cells D"],
        qzv: Float[Tensor, "cells D"],
        observed_lib_size: Float[Tensor, "cells 1"],
        c: Float[Tensor, "cells C"],
        n_samples: int = 1,
    ) -> dict[str, Any]:
        """Stored moments of q(z | x) → the same outputs, but for the hidden layer."""
        qz = stored_posterior(qzm, qzv)
        library = observed_lib_size.view(-1, 1)
        log_library = library.log() if self.likelihood.is_count else torch.zeros_like(library)
        return {**self._sampled(qz, log_library, n_samples), "c": c}

    def _sampled(self, qz: Normal, log_library: Tensor, n_samples: int) -> dict[str, Any]:
        z = qz.rsample() if n_samples == 1 else qz.sample((n_samples,))
        return {
            MODULE_KEYS.QZ_KEY: qz,
            MODULE_KEYS.Z_KEY: z,
            MODULE_KEYS.QL_KEY: None,
            MODULE_KEYS.LIBRARY_KEY: log_library.expand(*z.shape[:-1], 1),
        }

    # generation -----------------------------------------------------------------------------

    def _get_generative_input(
        self,
        tensors: dict[str, Tensor],
        inference_outputs: dict[str, Any],
    ) -> dict[str, Tensor]:
        log_depth = inference_outputs[MODULE_KEYS.LIBRARY_KEY]
        if self.use_size_factor:
            size_factor = tensors[REGISTRY_KEYS.SIZE_FACTOR_KEY]
            log_depth = size_factor.view(-1, 1).log().expand_as(log_depth)
        return {
            MODULE_KEYS.Z_KEY: inference_outputs[MODULE_KEYS.Z_KEY],
            "log_depth": log_depth,
            "c": inference_outputs["c"],
        }

    @auto_move_data
    def generative(
        self,
        z: Float[Tensor, "*samples cells D"],
        log_depth: Float[Tensor, "*samples cells 1"],
        c: Float[Tensor, "cells C"],
        transform_batch: SupportsInt | None = None,
        transform_condition: int | None = None,
    ) -> dict[str, Any]:
        """(z, depth, c) → p(x | z, c), as if in another batch or condition where asked."""
        if transform_batch is not None:
            c = self.covariates.with_batch(c, transform_batch)
        if transform_condition is not None:
            c = self.covariates.with_condition(c, transform_condition)
        px = self.likelihood(self.decoder(z, c), log_depth)
        return {MODULE_KEYS.PX_KEY: px, MODULE_KEYS.PL_KEY: None, MODULE_KEYS.PZ_KEY: None}

    # objective ------------------------------------------------------------------------------

    @in_full_precision
    @unsupported_if_adata_minified
    def loss(
        self,
        tensors: dict[str, Tensor],
        inference_outputs: dict[str, Any],
        generative_outputs: dict[str, Any],
        kl_weight: float | int | Float[Tensor, ""] = 1.0,
        n_obs: int | None = None,
    ) -> LossOutput:
        """Negative ELBO of a mini-batch, its terms by name.

        Parameters
        ----------
        kl_weight
            β.
        n_obs
            Number of training cells, by which what is counted once per data set is divided.
        """
        z, c = inference_outputs[MODULE_KEYS.Z_KEY], inference_outputs["c"]
        labels = self.known_labels(tensors)
        if self.pretraining:
            reconstruction, terms = self._bound(
                self.pretraining_prior, tensors, inference_outputs, generative_outputs, None
            )
            terms |= self.prior.style_divergence(inference_outputs["h"], c)
            kl_global = torch.zeros_like(z[0, 0])
        else:
            reconstruction, terms = self._mixture_bound(
                tensors, inference_outputs, generative_outputs, labels
            )
            kl_global = -self.prior.log_density().to(z)
        loss = (reconstruction + kl_weight * sum(terms.values())).mean()
        if n_obs is not None:
            loss = loss + kl_global / n_obs
        metrics = {name: term.mean() for name, term in terms.items()}
        if labels is not None and not self.pretraining:
            metrics["classification"] = self._classification(inference_outputs, labels)
            loss = loss + self.label_weight * metrics["classification"]
        if self.independence is not None and z.requires_grad:
            metrics["independence"] = self._independence(self.independence, tensors, z, c)
            loss = loss + self.independence_weight * kl_weight * metrics["independence"]
        if self.extra_payload_autotune:
            asked = (REGISTRY_KEYS.BATCH_KEY, REGISTRY_KEYS.LABELS_KEY)
            metrics |= {"z": z} | {key: tensors[key] for key in asked}
        return LossOutput(
            loss=loss,
            reconstruction_loss=reconstruction,
            kl_local=terms,
            kl_global=kl_global,
            extra_metrics=metrics,
        )

    def _independence(
        self, independence: Independence, tensors: dict[str, Tensor], z: Tensor, c: Tensor
    ) -> Float[Tensor, ""]:
        """How far z depends on the batch within the components that are trained now."""
        prior = self.pretraining_prior if self.pretraining else self.prior
        with torch.no_grad():
            q = prior.assignment(z, c).probs
        batch = tensors[REGISTRY_KEYS.BATCH_KEY].flatten().long()
        return independence(z, q, functional.one_hot(batch, self.covariates.n_batch).to(z))

    def _bound(
        self,
        prior: LatentPrior,
        tensors: dict[str, Tensor],
        inference_outputs: dict[str, Any],
        generative_outputs: dict[str, Any],
        labels: Int[Tensor, " cells"] | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """−log p(x | z, c) and the divergences of q(z | x) from a prior, for every cell."""
        reconstruction = -generative_outputs[MODULE_KEYS.PX_KEY].cell_log_prob(
            tensors[REGISTRY_KEYS.X_KEY]
        )
        qz, z = inference_outputs[MODULE_KEYS.QZ_KEY], inference_outputs[MODULE_KEYS.Z_KEY]
        h, c = inference_outputs["h"], inference_outputs["c"]
        return reconstruction, prior.divergence(qz, z, h, c, labels)

    def _mixture_bound(
        self,
        tensors: dict[str, Tensor],
        inference_outputs: dict[str, Any],
        generative_outputs: dict[str, Any],
        labels: Int[Tensor, " cells"] | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The same under the module's own prior."""
        return self._bound(self.prior, tensors, inference_outputs, generative_outputs, labels)

    def initialize_(
        self,
        z: Float[Tensor, "cells D"],
        h: Float[Tensor, "cells H"],
        weights: Float[Tensor, "cells K"],
        c: Float[Tensor, "cells C"],
    ) -> None:
        """Start the components from latent means and their assignments, in place."""
        self.prior.initialize_(z, weights, c)
