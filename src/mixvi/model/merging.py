"""How many clusters: components are merged, and the tree of merges is there to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mixvi import priors
from mixvi.priors import MergeTree

from .clusters import ClusterMixin

__all__ = ["AUTO_THRESHOLD", "MergingMixin", "cut_tree", "tree_of"]

AUTO_THRESHOLD = 0.15
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
        Or the cost of the merge that is not made any more; .15 if neither is given.

    Raises
    ------
    ValueError
        If both are given, or there are fewer components than clusters.
    """
    if n_clusters is not None and threshold is not None:
        raise ValueError(
            f"expected n_clusters or threshold, found both ({n_clusters}, {threshold}); choose one"
        )
    if n_clusters is None:
        n_clusters = tree.n_clusters(AUTO_THRESHOLD if threshold is None else threshold)
    heights = tree.linkage()[:, 2]
    n_merges = len(tree.weights) - n_clusters
    # between the last merge that was made and the first that was not
    made = heights[n_merges - 1] if n_merges else 0.0
    not_made = heights[n_merges] if n_merges < len(heights) else made
    return tree.cut(n_clusters), float((made + not_made) / 2)


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
            Stop before the first merge that costs this share of the components' HSIC; .15 by
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
        posterior = self._posterior(None, self._training_cells(dataloader), None, dataloader)
        table = self._component_table(posterior)
        tree = tree_of(table.weights, table.means, table.scales)
        clusters, self.merge_threshold_ = cut_tree(tree, n_clusters, threshold)
        names = ("weights", "merges", "cost", "loss", "sizes")
        self.merge_arrays_ = {name: getattr(tree, name).tolist() for name in names}
        self.cluster_of_component_ = clusters.tolist()
        self.cluster_names_ = [str(i) for i in range(clusters.max() + 1)]
        return tree

    def _unmerge(self) -> None:
        self.cluster_names_ = list(self.component_names_)
        self.cluster_of_component_ = list(range(len(self.component_names_)))
        self.merge_arrays_ = self.merge_threshold_ = None

    def _training_cells(self, dataloader: Any) -> Sequence[int] | None:
        return None if dataloader is not None else self.train_indices
