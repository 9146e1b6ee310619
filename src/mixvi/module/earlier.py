"""Weights that earlier formats saved."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["with_covariates"]


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
