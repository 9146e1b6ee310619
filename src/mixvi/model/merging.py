"""How many clusters: components are merged, and the tree of merges is there to look at."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import torch
from scvi.utils import unsupported_if_adata_minified
from torch.distributions import Normal

from mixvi import priors
from mixvi._numbers import check_number
from mixvi._progress import progress
from mixvi.priors import MergeTree
from mixvi.priors.points import normal_points

from .clusters import ClusterMixin

__all__ = ["AUTO_THRESHOLD", "MergingMixin", "cut_tree", "tree_of"]

AUTO_THRESHOLD = 0.14
MIN_SHARE = 1e-9  # of a component that no cell is in: it must still have a place in the tree


def tree_of(weights: Any, means: Any, scales: Any) -> MergeTree:
    """Merge tree of components by their moments; components without cells are merged first.

    Parameters
    ----------
    weights, means, scales
        As in :class:`ComponentTable`.
    """
    share = torch.as_tensor(np.asarray(weights, dtype=float)).clamp(min=MIN_SHARE)
    scale = torch.as_tensor(np.asarray(scales, dtype=float))
    return priors.merge_tree(share, torch.as_tensor(np.asarray(means, dtype=float)), scale.square())


def cut_tree(
    tree: MergeTree, n_clusters: int | None = None, threshold: float | None = None
) -> tuple[np.ndarray, float]:
    """Cluster of every component, and the cost at which merging stopped.

    Parameters
    ----------
    tree
        The tree.
    n_clusters
        Number of clusters.
    threshold
        Or the cost of the merge that is not made any more; .14 if neither is given.

    Raises
    ------
    ValueError
        If both are given, there are fewer components than clusters, or the cost is negative.
    """
    if threshold is not None:
        check_number("threshold", threshold)
    if n_clusters is not None and threshold is not None:
        raise ValueError(
            f"expected n_clusters or threshold, found both ({n_clusters}, {threshold}); choose one"
        )
    if n_clusters is not None and not isinstance(n_clusters, Integral):
        raise ValueError(
            f"expected n_clusters to be a whole number, found {n_clusters!r}; round it"
        )
    if n_clusters is None:
        n_clusters = tree.n_clusters(AUTO_THRESHOLD if threshold is None else threshold)
    clusters = tree.cut(n_clusters)
    heights = tree.linkage()[:, 2]
    n_merges = len(tree.weights) - n_clusters
    # between the last merge that was made and the first that was not
    made = heights[n_merges - 1] if n_merges else 0.0
    not_made = heights[n_merges] if n_merges < len(heights) else made
    return clusters, float((made + not_made) / 2)


class MergingMixin(ClusterMixin):
    """Clusters out of components.

    Attributes
    ----------
    merge_tree
        The order in which components would be merged, ``None`` before :meth:`merge_components`.
    merge_threshold_
        Where the tree was cut, a cost between the last merge made and the first not made.
    """

    merge_threshold_: float | None = None
    merge_arrays_: dict[str, list] | None = None

    @property
    def merge_tree(self) -> MergeTree | None:
        """The merge tree."""
        if self.merge_arrays_ is None:
            return None
        return MergeTree(**{name: np.asarray(value) for name, value in self.merge_arrays_.items()})

    def merge_components(
        self,
        n_clusters: int | None = None,
        *,
        threshold: float | None = None,
        dataloader: Any = None,
    ) -> MergeTree:
        """Make clusters of components, merging the least separate ones first.

        Merging two components loses dependence between state and cluster, HSIC(Z, Y)
        (:func:`mixvi.priors.merge_tree`); pairs are merged by how little is lost. Where to stop is
        said by one of two numbers. What :meth:`predict`, :meth:`annotate` and the rest call
        clusters are then the merged ones, and the components stay available. Called again, it
        starts from the components, not from the clusters.

        Parameters
        ----------
        n_clusters
            Number of clusters.
        threshold
            Stop before the first merge that costs this share of the components' HSIC; .14 by
            default, chosen on simulated cells and the embedded PBMC. Larger: fewer clusters.
        dataloader
            Cells whose shares weigh the components, for a model without an AnnData.

        Returns
        -------
        The whole tree.

        Raises
        ------
        ValueError
            If both numbers are given, there are fewer components than clusters, or components are
            tied to labels.
        """
        if self.module.n_labels:
            raise ValueError(
                f"expected components without labels, found {self.module.n_labels} tied to one; "
                "merge labels in obs before training instead"
            )
        table = self.get_components(dataloader=dataloader)
        tree = tree_of(table.weights, table.means, table.scales)
        clusters, self.merge_threshold_ = cut_tree(tree, n_clusters, threshold)
        names = ("weights", "merges", "cost", "loss", "sizes")
        self.merge_arrays_ = {name: getattr(tree, name).tolist() for name in names}
        self.cluster_of_component_ = clusters.tolist()
        self.cluster_names_ = [str(i) for i in range(clusters.max() + 1)]
        return tree

    @unsupported_if_adata_minified
    def suggest_n_components(self, *, threshold: float = AUTO_THRESHOLD) -> pd.DataFrame:
        r"""What every number of clusters would cost, from one for every component down to one.

        No model is trained again: the merge tree is cut everywhere. With K clusters of weight
        Π_j, each a normal with its components' moments, the held-out ELBO changes by what the
        prior says,

        .. math:: \mathrm{ELBO}_K = \mathrm{ELBO} + E_{q(z|x)} \log \frac{\sum_{j \le K} \Pi_j
                  N(z|M_j, S_j)}{\sum_k \pi_k N(z|\mu_k, \sigma_k^2)}.

        Where it stops to grow with K, further clusters describe cells that were not trained on no
        better. :func:`mixvi.pl.suggested_components` draws the table.

        Parameters
        ----------
        threshold
            Cost of the merge that is not made any more, which is the suggestion.

        Returns
        -------
        One row per ``n_clusters``: ``elbo`` (nats per cell, over validation cells, or training
        cells where there are none), ``merge_cost`` (of the merge into one cluster fewer, a share
        of the components' HSIC), ``smallest`` (share of the smallest cluster);
        ``attrs["suggested"]`` is the number at the threshold.

        Raises
        ------
        ValueError
            If ``adata`` is minified: the ELBO needs the expression.
        """
        table = self.get_components()
        weights, loc = table.weights.to_numpy(), table.means.to_numpy()
        second = loc**2 + table.scales.to_numpy() ** 2
        tree = tree_of(table.weights, table.means, table.scales)
        held_out = self.validation_indices
        held_out = self.train_indices if held_out is None or not len(held_out) else held_out
        elbo = float(self.get_elbo(indices=held_out))
        mean, variance = self.get_latent_representation(indices=held_out, return_dist=True)
        qz = Normal(torch.as_tensor(mean), torch.as_tensor(variance).sqrt())
        heights = np.append(tree.linkage()[:, 2][::-1], np.nan)
        rows, log_p = {}, {}
        for n_clusters in progress(range(1, len(weights) + 1), "numbers of clusters"):
            member = tree.cut(n_clusters) == np.arange(n_clusters)[:, None]
            mass = member @ weights
            share = member * weights / np.maximum(mass, MIN_SHARE)[:, None]
            m = share @ loc
            log_p[n_clusters] = _mean_log_prob(qz, mass, m, share @ second - m**2)
            rows[n_clusters] = {"merge_cost": heights[n_clusters - 2], "smallest": mass.min()}
        frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("n_clusters")
        last = log_p[len(weights)]
        frame.insert(0, "elbo", [elbo + log_p[k] - last for k in frame.index])
        frame.attrs["suggested"] = tree.n_clusters(threshold)
        return frame


def _mean_log_prob(qz: Normal, weights: np.ndarray, loc: np.ndarray, variance: np.ndarray) -> float:
    """Mean over cells of E_q(z|x) log Σ_k π_k N(z | μ_k, σ²_k)."""
    dtype = qz.loc.dtype
    p = Normal(torch.as_tensor(loc, dtype=dtype), torch.as_tensor(variance, dtype=dtype).sqrt())
    log_weights = torch.as_tensor(np.maximum(weights, MIN_SHARE), dtype=dtype).log()
    total = 0.0
    points = normal_points(qz.loc.shape[-1])
    for point in points:
        z = qz.loc + qz.scale * point
        total += (log_weights + p.log_prob(z[:, None]).sum(-1)).logsumexp(-1).mean().item()
    return total / len(points)
