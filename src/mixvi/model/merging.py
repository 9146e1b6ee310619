"""How many clusters: components are merged, and the tree of merges is there to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from scvi.utils import unsupported_if_adata_minified

from mixvi.priors import MergeTree, merge_tree

from .clusters import ClusterMixin, ComponentTable

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
    return merge_tree(share, torch.as_tensor(np.asarray(means, dtype=float)), scale.square())


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
