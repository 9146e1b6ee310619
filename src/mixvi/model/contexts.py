"""The covariates that cells come with, to average a component's profile over."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["covariate_contexts", "mean_over_contexts"]

MAX_CONTEXTS = 512


def covariate_contexts(c: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """The distinct covariate rows of the cells and their shares.

    Parameters
    ----------
    c
        Covariates, cells × columns.
    device
        Where the results are wanted.

    Returns
    -------
    Rows (at most 512: of continuous covariates evenly spaced ones stand for all) and shares that
    sum to 1.
    """
    rows, counts = np.unique(c, axis=0, return_counts=True)
    if len(rows) > MAX_CONTEXTS:
        picked = np.linspace(0, len(rows) - 1, MAX_CONTEXTS).astype(int)
        rows, counts = rows[picked], counts[picked]
    share = torch.as_tensor(counts / counts.sum(), dtype=torch.float32, device=device)
    return torch.as_tensor(rows, device=device), share


def mean_over_contexts(
    share: Float[Tensor, " contexts"], values: Float[Tensor, "contexts ..."]
) -> np.ndarray:
    """Mean of what the contexts say, weighted by their shares.

    In double precision: where all contexts agree, that is returned to the last bit, whatever the
    shares. A component of the reference is the same in a query with other batches.
    """
    share = share.cpu().double()
    mean = torch.tensordot(share / share.sum(), values.cpu().double(), dims=1)
    return mean.to(values.dtype).numpy()
