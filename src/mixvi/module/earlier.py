"""Weights that earlier formats saved."""

from __future__ import annotations

from typing import Any

import torch
from scvi.module.base import BaseMinifiedModeModuleClass
from torch import Tensor

from mixvi.distributions import HiddenLayers

from .covariates import Covariates

__all__ = ["EarlierFormatsMixin", "with_covariates"]


class EarlierFormatsMixin(BaseMinifiedModeModuleClass):
    """A module that loads the weights of every format there was."""

    decoder: HiddenLayers
    covariates: Covariates

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *args: Any) -> None:
        with_covariates(state, f"{prefix}likelihood.", self.decoder.n_out, len(self.covariates))
        super()._load_from_state_dict(state, prefix, *args)


def with_covariates(state: dict[str, Tensor], prefix: str, n_in: int, n_covariates: int) -> None:
    """Add columns of zeros for the covariates, in place, where weights have none.

    Up to format 1 genes did not see the covariates directly.

    Parameters
    ----------
    state
        Weights by name.
    prefix
        Of the names of weights that see the decoder's result.
    n_in
        Its size, covariates included.
    n_covariates
        Number of covariate columns.
    """
    for name, weight in state.items():
        if name.startswith(prefix) and weight.ndim == 2 and weight.shape[1] == n_in - n_covariates:
            none = weight.new_zeros(len(weight), n_covariates)
            state[name] = torch.cat([weight, none], 1)
