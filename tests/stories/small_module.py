"""A CGMDVAE module of 6 genes, D = 2, K = 3, in float64, with frozen random weights."""

from __future__ import annotations

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
from mixvi.module import Covariates, MixtureVAE
from mixvi.priors import (
    CollapsedDirichlet,
    DirichletMixture,
    GlobalDirichlet,
    NetworkDirichlet,
    UniformWeights,
)

GENES, LATENT, COMPONENTS, HIDDEN, ALPHA = 6, 2, 3, 8, 0.4


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
    covariates = DoubleCovariates(n_batch=2)
    seen = len(covariates) if conditioning == "full" else 0
    encoded = len(covariates) if conditioning != "decoder" else 0
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
        style_prior=GaussianArrow(len(covariates), n_style) if learned_style else None,
        classifier=nn.Linear(LATENT + seen, COMPONENTS) if classifier else None,
        conditioned=seen > 0,
    )
    module = MixtureVAE(
        HiddenLayers(GENES, encoded, HIDDEN, norm="none"),
        GaussianArrow(HIDDEN, LATENT),
        HiddenLayers(LATENT, len(covariates), HIDDEN, norm="none"),
        likelihood(HIDDEN, GENES),
        prior,
        covariates,
        gene_likelihood="nb",
        encode_covariates=encoded > 0,
    )
    module = module.double().eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator).double())
    # components that a posterior can tell apart, and concentrations away from 0
    prior.components.loc.mul_(4)
    if isinstance(weights, NetworkDirichlet):
        weights.network[-1].bias.add_(1)
    if isinstance(weights, GlobalDirichlet):
        weights.concentration.copy_(torch.tensor([3.0, 2.0, 1.0]))
    return module
