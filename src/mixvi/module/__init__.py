"""The module that scvi-tools trains: encoder, decoder, likelihood and a latent prior."""

from .covariates import CONDITION_KEY, Covariates
from .frozen import extend_covariates
from .independence import Independence
from .mixture_vae import MixtureVAE
from .y_conditional import YConditionalArrow, YConditionalVAE

__all__ = [
    "CONDITION_KEY",
    "Covariates",
    "Independence",
    "MixtureVAE",
    "YConditionalArrow",
    "YConditionalVAE",
    "extend_covariates",
]
