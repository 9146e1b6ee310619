"""What every model of the family has: AnnData in, a module, training, one-line description."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, Literal, get_args

from scvi.model.base import BaseMinifiedModeModelClass
from torch import nn

from mixvi.distributions import (
    BernoulliLikelihood,
    GaussianArrow,
    HiddenLayers,
    Likelihood,
    NegativeBinomialLikelihood,
    NormalLikelihood,
    PoissonLikelihood,
    ZeroInflatedNegativeBinomialLikelihood,
)
from mixvi.distributions.hidden import Norm
from mixvi.module import Covariates, MixtureVAE, YConditionalArrow, YConditionalVAE
from mixvi.priors import LatentPrior

from .annotation import AnnotationMixin
from .condition_effects import ConditionEffectsMixin
from .counterfactual import CounterfactualMixin
from .density import DensityMixin
from .generation import GenerationMixin
from .inherited import InheritedMixin
from .labels import LabelsMixin, check_components_per_label
from .merging import MergingMixin
from .modality import ModalityMixin, of_mudata
from .options import choice
from .registration import COUNT_LIKELIHOODS
from .saving import SavingMixin
from .training import TrainingMixin
from .untrained import only_trained

__all__ = ["Conditioning", "GeneLikelihood", "MixtureModel"]

GeneLikelihood = Literal["nb", "zinb", "poisson", "normal", "bernoulli"]
Conditioning = Literal["decoder", "partial", "full"]

MANY = 30  # components of "auto"; the merge tree says how many clusters they make
MIN_CELLS = 10  # per component of "auto" on average, at least

MASKED, PANEL = 0.2, 500  # share of the input hidden in training; genes below which none is

LIKELIHOODS: dict[str, Callable[..., Likelihood]] = {
    "nb": NegativeBinomialLikelihood,
    "zinb": ZeroInflatedNegativeBinomialLikelihood,
    "poisson": PoissonLikelihood,
    "normal": NormalLikelihood,
    "bernoulli": BernoulliLikelihood,
}


@of_mudata
@only_trained
class MixtureModel(
    ModalityMixin,
    SavingMixin,
    TrainingMixin,
    AnnotationMixin,
    LabelsMixin,
    MergingMixin,
    CounterfactualMixin,
    ConditionEffectsMixin,
    GenerationMixin,
    DensityMixin,
    InheritedMixin,
    BaseMinifiedModeModelClass,
):
    """Base of the models; a subclass adds the latent prior."""

    merges_: bool

    def _check_sizes(
        self,
        n_components: int | Literal["auto"],
        gene_likelihood: GeneLikelihood,
        components_per_label: int,
    ) -> int:
        """Check what the model is asked for against the data; the number of components."""
        choice("gene_likelihood", gene_likelihood, get_args(GeneLikelihood))
        check_components_per_label(components_per_label)
        labels = self._known_labels()
        n_tied = len(labels) * components_per_label
        self.merges_ = n_components == "auto" and not labels
        if n_components == "auto":
            n_components = self._enough_components(len(labels), n_tied)
        if not isinstance(n_components, numbers.Integral) or isinstance(n_components, bool):
            raise TypeError(
                f"expected n_components to be a whole number or 'auto', found {n_components!r}; "
                "pass one of these"
            )
        n_components = int(n_components)
        if n_components < max(1, n_tied):
            raise ValueError(
                f"expected n_components of at least {max(1, n_tied)} ({components_per_label} for "
                f"every label), found {n_components}; pass more, or 'auto'"
            )
        if self.adata is not None and self.minified_data_type is None:
            self._check_matrix(self.adata, gene_likelihood)
        self._name_components(labels, n_components - n_tied, components_per_label)
        return n_components

    def _enough_components(self, n_labels: int, n_tied: int) -> int:
        """More components than clusters are expected, as far as there are cells for them."""
        n_obs = self.summary_stats.n_cells
        if n_labels:
            return max(n_tied, min(n_tied + max(5, n_labels), n_obs))
        return int(min(MANY, max(1, n_obs // MIN_CELLS)))

    def _build_module(
        self,
        prior: LatentPrior,
        covariates: Covariates,
        *,
        n_hidden: int,
        n_layers: int,
        dropout_rate: float,
        input_dropout: float | None,
        norm: Norm,
        gene_likelihood: GeneLikelihood,
        conditioning: Conditioning,
        label_weight: float,
        independence_weight: float,
        extra_payload_autotune: bool,
        y_conditional: bool = False,
    ) -> MixtureVAE:
        """Put encoder, decoder and likelihood below a prior."""
        n_genes, n_covariates = self.summary_stats.n_vars, len(covariates)
        encode_covariates = conditioning != "decoder" and n_covariates > 0
        use_size_factor = self.registry_["setup_args"].get("size_factor_key") is not None
        options = {"shares": not use_size_factor} if gene_likelihood in COUNT_LIKELIHOODS else {}
        hidden: dict[str, Any] = {"n_hidden": n_hidden, "n_layers": n_layers, "norm": norm}
        encoder = HiddenLayers(
            n_genes, n_covariates * encode_covariates, dropout=dropout_rate, **hidden
        )
        # genes see the covariates directly, too: what a batch does to every cell alike need not
        # pass through units that z shares
        decoder = HiddenLayers(
            prior.n_latent, n_covariates, dropout=0.0, pass_covariates=True, **hidden
        )
        parts: dict[str, Any] = {
            "encoder": encoder,
            "decoder": decoder,
            "likelihood": LIKELIHOODS[gene_likelihood](decoder.n_out, n_genes, **options),
            "prior": prior,
            "covariates": covariates,
            "gene_likelihood": gene_likelihood,
            "encode_covariates": encode_covariates,
            "use_size_factor": use_size_factor,
            "input_dropout": _masked(n_genes) if input_dropout is None else input_dropout,
            "n_labels": len(self._known_labels()),
            "label_weight": float(label_weight),
            "independence_weight": float(independence_weight),
        }
        n_in, n_components = encoder.n_out, prior.n_components
        module: MixtureVAE
        if y_conditional:
            module = YConditionalVAE(
                z_posterior=YConditionalArrow(n_in, prior.n_latent, n_components),
                y_posterior=nn.Linear(n_in, n_components),
                **parts,
            )
        else:
            module = MixtureVAE(z_posterior=GaussianArrow(n_in, prior.n_latent), **parts)
        module.minified_data_type = self.minified_data_type
        if extra_payload_autotune and not module.n_labels:
            raise ValueError(
                "expected labels for metrics of scib-metrics, found none registered; pass "
                "labels_key to setup_anndata, or tune by elbo_validation"
            )
        module.extra_payload_autotune = extra_payload_autotune
        return module

    def __repr__(self) -> str:
        prior, module = self.module.prior, self.module
        parts = [f"n_components={prior.n_components}"]
        if len(self.cluster_names_) < prior.n_components:
            parts.append(f"{len(self.cluster_names_)} clusters")
        parts.append(f"n_latent={prior.n_latent}")
        if prior.n_style:
            parts.append(f"n_style={prior.n_style}")
        parts.append(module.gene_likelihood)
        if module.n_labels:
            parts.append(f"{module.n_labels} labels")
        if self.minified_data_type is not None:
            parts.append("minified")
        parts.append("trained" if self.is_trained else "untrained")
        return f"{type(self).__name__}({', '.join(parts)})"


def _masked(n_genes: int) -> float:
    """Share of the input that the encoder does not see in training, by default."""
    return MASKED if n_genes >= PANEL else 0.0
