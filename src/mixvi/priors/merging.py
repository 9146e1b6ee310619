r"""Merging components by what the merge would lose.

With weights π_k and components P_k the independence measure of latent space and cluster is

.. math:: \mathrm{HSIC}(Z, Y) = \sum_{k<l} \pi_k \pi_l\, \mathrm{MMD}^2(P_k, P_l)

and merging k and l loses exactly π_kπ_l/(π_k+π_l) · MMD²(P_k, P_l) of it, so that merging all, two
at a time, loses it all. For normal components and a Gaussian kernel everything is in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["MergeTree", "kernel_means", "merge_tree"]

BANDWIDTH = 4.0  # s² over the trace of the whitened variance
ROUNDING = 1e-12  # components closer than this, in total, are the same


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


@dataclass(frozen=True, eq=False)
class MergeTree:
    """The order in which components are merged, from M of them down to one.

    Nodes are numbered as in :func:`scipy.cluster.hierarchy.linkage`: the components are nodes
    0 … M − 1 and the i-th merge makes node M + i.

    Attributes
    ----------
    weights
        Mass of the components, sums to 1.
    merges
        The two nodes of each merge, the lower one first.
    cost
        Criterion of each merge over the HSIC of all components. It usually grows from merge to
        merge, but need not, and with γ < 1 it may exceed 1.
    loss
        HSIC that each merge loses over the HSIC of all components; sums to 1 (to 0 if all
        components are the same).
    sizes
        Mass of the node that each merge makes.
    """

    weights: Float[np.ndarray, " M"]
    merges: Int[np.ndarray, "M-1 2"]
    cost: Float[np.ndarray, " M-1"]
    loss: Float[np.ndarray, " M-1"]
    sizes: Float[np.ndarray, " M-1"]

    def __repr__(self) -> str:
        n_components = len(self.weights)
        heaviest = self.cost.max() if len(self.cost) else 0.0
        return f"MergeTree({n_components} components, merges cost up to {heaviest:.3g})"

    def cut(self, n_clusters: int) -> Int[np.ndarray, " M"]:
        """Undo the last merges until there are ``n_clusters``.

        Cuts nest: a cut into more clusters divides those of a cut into fewer.

        Returns
        -------
        Cluster of every component, 0 … n_clusters − 1 by decreasing mass.

        Raises
        ------
        ValueError
            If ``n_clusters`` is not between 1 and M.
        """
        n_components = len(self.weights)
        if not 1 <= n_clusters <= n_components:
            raise ValueError(
                f"expected n_clusters between 1 and the {n_components} components, found "
                f"{n_clusters}; ask for fewer clusters or fit more components"
            )
        node = np.arange(n_components)
        for i, pair in enumerate(self.merges[: n_components - n_clusters]):
            node[np.isin(node, pair)] = n_components + i
        _, clusters = np.unique(node, return_inverse=True)
        by_mass = np.argsort(-np.bincount(clusters, self.weights), kind="stable")
        return np.argsort(by_mass)[clusters]

    def n_clusters(self, threshold: float) -> int:
        """Number of clusters left if merging stops before the first merge that costs too much.

        Parameters
        ----------
        threshold
            The least cost that stops. Large: few clusters; 0: as many as components (those that
            cost nothing included). A cheap merge after a dear one does not count.
        """
        return len(self.weights) - int(np.searchsorted(self._heights, threshold, side="left"))

    def linkage(self) -> Float[np.ndarray, "merges 4"]:
        """Linkage matrix of scipy: the two nodes, the height, the number of components.

        Heights are the running maximum of ``cost``: what one has to be ready to pay to get there.
        """
        counts = np.ones(2 * len(self.weights) - 1)
        for i, pair in enumerate(self.merges):
            counts[len(self.weights) + i] = counts[pair].sum()
        return np.column_stack([self.merges, self._heights, counts[len(self.weights) :]])

    @property
    def _heights(self) -> np.ndarray:
        return np.maximum.accumulate(self.cost)


def merge_tree(
    weights: Float[Tensor, " M"],
    loc: Float[Tensor, "M D"],
    variance: Float[Tensor, "M D"],
    *,
    power: float = 0.5,
) -> MergeTree:
    r"""Merge components, two at a time, until one is left.

    The latent space is whitened by the pooled variance within components and s² is four times the
    trace of what is left, as wide as the components themselves. Merged next is the pair with
    the least (π_kπ_l/(π_k+π_l))^γ · MMD²_kl.

    Parameters
    ----------
    weights
        π; divided by their sum.
    loc, variance
        Moments of the M components.
    power
        γ. 1 is the loss of HSIC, which spares large clusters; smaller values spare small, distant
        ones.

    Returns
    -------
    The tree; :meth:`MergeTree.cut` makes clusters of it.

    Raises
    ------
    ValueError
        If a weight is not positive or a moment is not finite.
    """
    if not (weights > 0).all():
        raise ValueError(
            f"expected positive weights, found {weights.min():g}; leave components without cells "
            "out"
        )
    mass, loc, variance = (x.detach().cpu().double() for x in (weights, loc, variance))
    mass = mass / mass.sum()
    pooled = mass @ variance
    kernel = kernel_means(loc / pooled.sqrt(), variance / pooled, BANDWIDTH * loc.shape[1])
    if not kernel.isfinite().all():
        raise ValueError(
            "expected finite means and positive variances of the components, found others; look "
            "at what they were computed from"
        )
    return _merge_all(mass.numpy(), kernel.numpy(), power)


def _merge_all(weights: np.ndarray, kernel: np.ndarray, power: float) -> MergeTree:
    """Greedy merges of components given by the inner products of their mean embeddings."""
    n_components = len(weights)
    mass, nodes, kernel = weights.copy(), np.arange(n_components), kernel.copy()
    merges = np.zeros((n_components - 1, 2), dtype=int)
    cost, loss, sizes = np.zeros((3, n_components - 1))
    distance = _squared_distance(kernel.diagonal()[:, None], kernel.diagonal(), kernel)
    total = np.triu(np.outer(mass, mass) * distance).sum()
    criterion = _share(mass[:, None], mass) ** power * distance
    criterion[np.tril_indices(n_components)] = np.inf
    left = np.ones(n_components, dtype=bool)
    for i in range(n_components - 1):
        keep, gone = np.unravel_index(criterion.argmin(), criterion.shape)
        merges[i] = np.sort(nodes[[keep, gone]])
        apart = _squared_distance(kernel[keep, keep], kernel[gone, gone], kernel[keep, gone])
        cost[i], loss[i] = criterion[keep, gone], _share(mass[keep], mass[gone]) * apart
        sizes[i] = mass[keep] + mass[gone]
        # the mean embedding of the merged cluster is the weighted mean of the two
        both = mass[[keep, gone]] / sizes[i]
        row = both @ kernel[[keep, gone]]
        within = both @ row[[keep, gone]]
        kernel[keep] = kernel[:, keep] = row
        kernel[keep, keep] = within
        mass[keep], nodes[keep] = sizes[i], n_components + i
        left[gone] = False
        criterion[gone] = criterion[:, gone] = np.inf
        # only what the merged cluster is a part of has changed
        others = np.flatnonzero(left & (np.arange(n_components) != keep))
        apart = _squared_distance(within, kernel.diagonal()[others], kernel[keep, others])
        pairs = np.minimum(keep, others), np.maximum(keep, others)
        criterion[pairs] = _share(sizes[i], mass[others]) ** power * apart
    scale = total if total > ROUNDING else np.inf  # nothing to lose if all are the same
    return MergeTree(weights, merges, cost / scale, loss / scale, sizes)


def _share(one: Any, other: Any) -> Any:
    return one * other / (one + other)


def _squared_distance(one: Any, other: Any, both: Any) -> Any:
    """MMD² from inner products; rounding must not make it negative."""
    return np.maximum(one + other - 2 * both, 0)
