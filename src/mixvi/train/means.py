"""Starting the decoder at the mean of every gene in every batch."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from scvi import REGISTRY_KEYS
from torch import Tensor

from mixvi.distributions.ranks import n_ranks, sum_over_ranks
from mixvi.distributions.sparse import dense, row_sums
from mixvi.module import MixtureVAE

from .ranks import same_on_all_ranks_

__all__ = ["additive_start", "start_at_means"]

PRIOR_CELLS = 10  # of average expression, that a category is thought to have besides its own
MOST_COLUMNS = 1_000  # of covariates; more start at zero


@torch.no_grad()
def start_at_means(
    module: MixtureVAE, batches: Iterable[dict[str, Tensor]], n_cells: int = 50_000
) -> None:
    r"""Put the decoder's last layer where expression is without any z, in place.

    .. math:: g(E[x_g \mid c]) \approx b_g + (B c)_g

    with g the link of the likelihood (log of the share of counts, logit, or none). What a batch
    does to all of its cells is there from the first step: otherwise it is learned as a direction
    of z first, components form along it, and a short run ends with a cluster for every batch.
    Continuous covariates start without an effect.

    Parameters
    ----------
    module
        The untrained module.
    batches
        Mini-batches of training cells in random order.
    n_cells
        Cells that are looked at.
    """
    covariates, likelihood = module.covariates, module.likelihood
    n_columns = len(covariates) - covariates.n_continuous
    if n_columns > MOST_COLUMNS or not module.decoder.pass_covariates:
        n_columns = 0
    totals = exposure = together = torch.zeros((), dtype=torch.float64)
    n_seen = 0
    for tensors in batches:
        x = dense(tensors[REGISTRY_KEYS.X_KEY]).cpu()
        c = covariates(tensors).cpu()[:, :n_columns]
        design = torch.cat([torch.ones(len(x), 1), c], 1)
        if module.use_size_factor:
            depth = tensors[REGISTRY_KEYS.SIZE_FACTOR_KEY].cpu().view(-1, 1).float()
        else:
            depth = row_sums(x) if likelihood.is_count else torch.ones(len(x), 1)
        totals = totals + (design.t() @ x).double()
        exposure = exposure + (design.t() @ depth).double()
        together = together + (design.t() @ design).double()
        n_seen += len(x)
        if n_seen * n_ranks() >= n_cells:
            break
    if n_ranks() > 1:
        device = likelihood.head.weight.device
        totals, exposure, together = (
            sum_over_ranks(part.to(device)).cpu() for part in (totals, exposure, together)
        )
    prior = PRIOR_CELLS * exposure[:1] / together[0, 0]
    overall = totals[:1] / exposure[:1]
    means = (totals + prior * overall) / (exposure + prior)
    intercept, effects = additive_start(likelihood.link(means), together)
    head = likelihood.head
    first = head.weight.shape[1] - len(covariates)
    head.bias.copy_(intercept)
    head.weight[:, first : first + n_columns] = effects.t().to(head.weight)
    same_on_all_ranks_(module)


def additive_start(
    values: Float[Tensor, "C+1 genes"], together: Float[Tensor, "C+1 C+1"]
) -> tuple[Float[Tensor, " genes"], Float[Tensor, "C genes"]]:
    r"""Effects of categories that add up to the values of every category.

    A category's value, the mean over its cells, holds the effects of what comes with it:

    .. math:: v_j = b + \sum_k P(k \mid j)\, B_k

    B and b fulfill this best, weighted by cells. Of all such B the smallest is taken, so that
    covariates that say the same share their effect.

    Parameters
    ----------
    values
        Of all cells, which is b where there are no categories, then of the cells of each.
    together
        Numbers of cells: of all, of every category, and of every two categories together.

    Returns
    -------
    b and B.
    """
    n = together[1:, :1]
    if not n.sum():
        return values[0], values[1:] * 0
    weight = n / n.sum()
    values = torch.where(n > 0, values[1:], 0.0)
    share = together[1:, 1:] / n.clamp(min=1)
    mean, mean_share = weight.t() @ values, weight.t() @ share
    root = weight.sqrt()
    effects = torch.linalg.pinv(root * (share - mean_share), rtol=1e-6) @ (root * (values - mean))
    return (mean - mean_share @ effects)[0], effects
