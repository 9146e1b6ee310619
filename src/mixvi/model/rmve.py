"""RMVE: repulsive mixture variational embedding."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from anndata import AnnData
from torch import nn

from mixvi.distributions import Components
from mixvi.distributions.components import Covariance
from mixvi.distributions.hidden import Norm
from mixvi.priors import GaussianMixture, LatentPrior, StandardPrior
from mixvi.priors import repulsion as repulsion_form

from .base import GeneLikelihood, MixtureModel

__all__ = ["RMVE"]

RepulsionName = Literal["mmd", "means", "hellinger", "dpp"]


class RMVE(MixtureModel):
    _name: ClassVar[str] = "rmve"
    _LATENT_QZM_KEY = "rmve_latent_qzm"
    _LATENT_QZV_KEY = "rmve_latent_qzv"

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        n_components: int | Literal["auto"] = "auto",
        n_latent: int = 10,
        n_hidden: int = 128,
        n_layers: int = 1,
        dropout_rate: float = 0.1,
        input_dropout: float = 0.2,
        norm: Norm = "batch",
        gene_likelihood: GeneLikelihood = "nb",
        covariance: Covariance = "tied",
        assignment: Literal["bayes", "network"] = "bayes",
        repulsion: RepulsionName | None = None,
        repulsion_strength: float = 1.0,
        conditioning: Literal["decoder", "partial"] = "decoder",
        label_weight: float = 1.0,
        datamodule: Any = None,
    ):
        super().__init__(adata, registry)
        n_components = self._check_sizes(n_components, gene_likelihood)
        covariates = self._covariates()
        classifier = None
        if assignment == "network":
            classifier = nn.Sequential(
                nn.Linear(n_latent, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_components)
            )
        prior: LatentPrior
        if n_components == 1 and covariance == "unit":
            prior = StandardPrior(n_latent)
        else:
            prior = GaussianMixture(
                Components(n_components, n_latent, covariance=covariance),
                classifier=classifier,
                repulsion=None if repulsion is None else repulsion_form(repulsion),
                strength=repulsion_strength,
            )
        self.module = self._build_module(
            prior,
            covariates,
            n_hidden=n_hidden,
            n_layers=n_layers,
            dropout_rate=dropout_rate,
            input_dropout=input_dropout,
            norm=norm,
            gene_likelihood=gene_likelihood,
            conditioning=conditioning,
            label_weight=label_weight,
        )
        self._module_kwargs: dict[str, Any] = {}
        self._model_summary_string = repr(self)
        self.init_params_ = self._get_init_params(locals())
