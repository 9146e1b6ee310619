"""Modules of 6 genes, D = 2, K = 3, in float64, with frozen random weights."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mixvi.distributions import (
    Components,
    GaussianArrow,
    HiddenLayers,
    Likelihood,
    NegativeBinomialLikelihood,
    NetworkStyle,
)
from mixvi.module import Covariates, MixtureVAE, YConditionalArrow, YConditionalVAE
from mixvi.priors import (
    CollapsedDirichlet,
    DirichletMixture,
    GaussianMixture,
    GlobalDirichlet,
    LatentPrior,
    MixturePrior,
    NetworkDirichlet,
    StandardPrior,
    UniformWeights,
    repulsion,
)

GENES, LATENT, COMPONENTS, HIDDEN, ALPHA = 6, 2, 3, 8, 0.4

Recognition = Literal["bayes", "network", "y_conditional", "standard"]


class DoubleCovariates(Covariates):
    """Covariates in the precision of the test."""

    def __call__(self, tensors: dict[str, Tensor]) -> Tensor:
        return super().__call__(tensors).double()


def make_module(
    dirichlet: str | None = "collapsed",
    conditioning: str = "decoder",
    n_style: int = 0,
    *,
    likelihood: type[Likelihood] = NegativeBinomialLikelihood,
    learned_style: bool = False,
    classifier: bool = False,
) -> MixtureVAE:
    """A module of CGMDVAE."""
    n_covariates = 2
    seen = n_covariates if conditioning == "full" else 0
    weights = {
        "collapsed": lambda: CollapsedDirichlet(COMPONENTS, ALPHA),
        "network": lambda: NetworkDirichlet(COMPONENTS, ALPHA, LATENT, HIDDEN),
        "global": lambda: GlobalDirichlet(COMPONENTS, ALPHA),
        None: lambda: UniformWeights(COMPONENTS),
    }[dirichlet]()
    style = NetworkStyle(n_style + seen, COMPONENTS, LATENT, HIDDEN) if n_style + seen else None
    prior = DirichletMixture(
        Components(COMPONENTS, LATENT, style),
        weights,
        style_posterior=GaussianArrow(HIDDEN, n_style) if n_style else None,
        style_prior=GaussianArrow(n_covariates, n_style) if learned_style else None,
        classifier=nn.Linear(LATENT + seen, COMPONENTS) if classifier else None,
        conditioned=seen > 0,
    )
    module = _put_together(prior, conditioning, likelihood)
    if isinstance(weights, NetworkDirichlet):
        weights.network[-1].bias.add_(1)  # concentrations away from 0
    if isinstance(weights, GlobalDirichlet):
        weights.concentration.copy_(torch.tensor([3.0, 2.0, 1.0]))
    return module


def make_rmve_module(
    recognition: Recognition = "bayes",
    covariance: Literal["diag", "spherical", "tied", "unit"] = "diag",
    form: Literal["mmd", "means", "hellinger", "dpp"] | None = None,
    *,
    conditioning: str = "decoder",
    n_labels: int = 0,
) -> MixtureVAE:
    """A module of RMVE; the label's loss beside the bound is switched off."""
    prior = (
        StandardPrior(LATENT)
        if recognition == "standard"
        else GaussianMixture(
            Components(COMPONENTS, LATENT, covariance=covariance),
            classifier=nn.Linear(LATENT, COMPONENTS) if recognition == "network" else None,
            repulsion=None if form is None else repulsion(form),
            strength=0.7,
        )
    )
    module = _put_together(
        prior,
        conditioning,
        NegativeBinomialLikelihood,
        y_conditional=recognition == "y_conditional",
        n_labels=n_labels,
        label_weight=0.0,
    )
    if isinstance(prior, GaussianMixture):
        prior.usage.copy_(torch.tensor([0.5, 0.3, 0.2]))
        if covariance == "unit":
            prior.components.log_variance.zero_()
    return module


def _put_together(
    prior: LatentPrior,
    conditioning: str,
    likelihood: type[Likelihood],
    *,
    y_conditional: bool = False,
    **options,
) -> MixtureVAE:
    """Encoder and decoder below a prior, frozen at random weights."""
    covariates = DoubleCovariates(n_batch=2)
    encoded = len(covariates) if conditioning != "decoder" else 0
    parts = {
        "encoder": HiddenLayers(GENES, encoded, HIDDEN, norm="none"),
        "decoder": HiddenLayers(LATENT, len(covariates), HIDDEN, norm="none"),
        "likelihood": likelihood(HIDDEN, GENES),
        "prior": prior,
        "covariates": covariates,
        "gene_likelihood": "nb",
        "encode_covariates": encoded > 0,
        **options,
    }
    if y_conditional:
        module = YConditionalVAE(
            z_posterior=YConditionalArrow(HIDDEN, LATENT, COMPONENTS),
            y_posterior=nn.Linear(HIDDEN, COMPONENTS),
            **parts,
        )
    else:
        module = MixtureVAE(z_posterior=GaussianArrow(HIDDEN, LATENT), **parts)
    module = module.double().eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator).double())
    if isinstance(prior, MixturePrior):
        prior.components.loc.mul_(4)  # components that a posterior can tell apart
    return module
