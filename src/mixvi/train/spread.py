"""Starting the noise where it is seen about the means."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from scvi import REGISTRY_KEYS
from torch import Tensor

from mixvi.distributions import Spread
from mixvi.distributions.ranks import n_ranks, sum_over_ranks
from mixvi.distributions.sparse import dense, row_sums
from mixvi.module import MixtureVAE

from .ranks import same_on_all_ranks_

__all__ = ["start_at_spread"]


@torch.no_grad()
def start_at_spread(
    module: MixtureVAE, batches: Iterable[dict[str, Tensor]], n_cells: int = 10_000
) -> None:
    r"""Put the likelihood's noise where cells show it about their expected means, in place.

    That is σ_g of ``normal`` and θ_g of ``nb`` and ``zinb``
    (:meth:`mixvi.distributions.Likelihood.start_at_spread_`); the others have none. A run is too
    short to find them from just anywhere: genes would be explained by too much noise, and z be
    told too little.

    Parameters
    ----------
    module
        The module, with its decoder at the means (:func:`start_at_means`) and not trained.
    batches
        Mini-batches of training cells in random order.
    n_cells
        Cells that are looked at.
    """
    covariates, likelihood = module.covariates, module.likelihood
    head = likelihood.head
    device, n_hidden = head.weight.device, head.weight.shape[1]
    variance = mean = mean_square = torch.zeros(head.out_features, dtype=torch.float64)
    n_seen = 0
    for tensors in batches:
        x = dense(tensors[REGISTRY_KEYS.X_KEY]).to(device)
        h = torch.zeros(len(x), n_hidden, device=device)
        if module.decoder.pass_covariates:
            h[:, n_hidden - len(covariates) :] = covariates(tensors).to(device)
        if module.use_size_factor:
            depth = tensors[REGISTRY_KEYS.SIZE_FACTOR_KEY].to(device).view(-1, 1).float()
        else:
            depth = row_sums(x)
        mu = likelihood(h, depth.log()).mean
        variance = variance + (x - mu).square().sum(0).cpu().double()
        mean = mean + mu.sum(0).cpu().double()
        mean_square = mean_square + mu.square().sum(0).cpu().double()
        n_seen += len(x)
        if n_seen * n_ranks() >= n_cells:
            break
    if n_ranks() > 1:
        sums = torch.stack([variance, mean, mean_square, torch.full_like(mean, n_seen)])
        variance, mean, mean_square, seen = sum_over_ranks(sums.to(device)).cpu()
        n_seen = int(seen[0])
    spread = Spread(variance / n_seen, mean / n_seen, mean_square / n_seen, n_seen)
    likelihood.start_at_spread_(spread)
    same_on_all_ranks_(module)
