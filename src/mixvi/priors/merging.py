r"""Merging components by what the merge would lose.

With weights π_k and components P_k the independence measure of latent space and cluster is

.. math:: \mathrm{HSIC}(Z, Y) = \sum_{k<l} \pi_k \pi_l\, \mathrm{MMD}^2(P_k, P_l)

and merging k and l loses exactly π_kπ_l/(π_k+π_l) · MMD²(P_k, P_l) of it. For normal components and
a Gaussian kernel everything is in closed form.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["kernel_means", "merge_components"]


def kernel_means(
    loc: Float[Tensor, "M D"],
    variance: Float[Tensor, "M D"],
    bandwidth: float | Float[Tensor, ""],
) -> Float[Tensor, "M M"]:
    r"""E k(z, z') for z ~ N(μ_k, σ²_k), z' ~ N(μ_l, σ²_l), k(z, z') = exp(−‖z − z'‖²/2s²).

    .. math:: e_{kl} = \prod_j \sqrt{\frac{s^2}{s^2+\sigma^2_{kj}+\sigma^2_{lj}}}
              \exp\Bigl(-\frac{(\mu_{kj}-\mu_{lj})^2}{2(s^2+\sigma^2_{kj}+\sigma^2_{lj})}\Bigr)

    so that MMD²_kl = e_kk + e_ll − 2 e_kl.

    Parameters
    ----------
    loc, variance
        Moments of the M components.
    bandwidth
        s², in the units of the variances.
    """
    total = bandwidth + variance[:, None] + variance[None]
    squared = (loc[:, None] - loc[None]).square()
    log_e = 0.5 * (torch.log(bandwidth / total) - squared / total)
    return log_e.sum(-1).exp()


def merge_components(
    weights: Float[Tensor, " M"],
    loc: Float[Tensor, "M D"],
    variance: Float[Tensor, "M D"],
    n_clusters: int,
    *,
    power: float = 0.5,
) -> Int[Tensor, " M"]:
    r"""Merge components, two at a time, until a number of clusters is left.

    The latent space is whitened by the pooled variance within components and s² is four times the
    trace of what is left, as wide as the components themselves. Merged next is the pair with
    the least (π_kπ_l/(π_k+π_l))^γ · MMD²_kl.

    Parameters
    ----------
    weights
        π, sums to 1; components with weight 0 must be left out.
    loc, variance
        Moments of the M components.
    n_clusters
        Number of clusters wanted, at most M.
    power
        γ. 1 is the loss of HSIC, which spares large clusters; smaller values spare small, distant
        ones.

    Returns
    -------
    Cluster of every component, 0 … n_clusters − 1.

    Raises
    ------
    ValueError
        If there are fewer components than clusters.
    """
    n_components, n_latent = loc.shape
    if not 1 <= n_clusters <= n_components:
        raise ValueError(
            f"expected n_clusters between 1 and the {n_components} components, found {n_clusters}"
        )
    mass, loc, variance = weights.double().clone(), loc.double(), variance.double()
    pooled = mass @ variance / mass.sum()
    kernel = kernel_means(loc / pooled.sqrt(), variance / pooled, 4.0 * n_latent)
    clusters = torch.arange(n_components, device=loc.device)
    alive = torch.ones(n_components, dtype=torch.bool, device=loc.device)
    for _ in range(n_components - n_clusters):
        own = kernel.diagonal()
        distance = own[:, None] + own[None] - 2 * kernel
        share = mass[:, None] * mass[None] / (mass[:, None] + mass[None])
        cost = share.pow(power) * distance
        cost = cost.masked_fill(~(alive[:, None] & alive[None]), torch.inf)
        cost.fill_diagonal_(torch.inf)
        keep, gone = divmod(int(cost.argmin()), n_components)
        # the mean embedding of the merged cluster is the weighted mean of the two
        both = mass[[keep, gone]] / mass[[keep, gone]].sum()
        row = both @ kernel[[keep, gone]]
        within = both @ row[[keep, gone]]
        kernel[keep], kernel[:, keep] = row, row
        kernel[keep, keep] = within
        mass[keep] = mass[keep] + mass[gone]
        alive[gone] = False
        clusters[clusters == gone] = keep
    return clusters.unique(return_inverse=True)[1]
