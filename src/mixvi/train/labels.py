"""Starting the components that are tied to labels, from few labeled cells or many."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from scipy.stats import poisson
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from mixvi.priors import merge_tree

__all__ = ["label_start", "propagate"]

NEIGHBORS = 15
STAY = 0.03  # weight of a cell's own opinion against its neighbors'
N_ROUNDS = 150  # .97 to this power is about .01
FEW = 0.25  # share of the labeled cells that would be expected in a cluster
CHANCE = 0.05  # below it, so few are no accident


def propagate(z: np.ndarray, labels: np.ndarray, n_labels: int) -> np.ndarray:
    r"""Probabilities of the labels for cells without one, from their place and their neighbors.

    A logistic regression on the labeled cells gives every cell an opinion F₀, which is averaged
    over the graph of its 15 nearest neighbors,

    .. math:: F \leftarrow .97\, P F + .03\, F_0,

    P the graph's random walk, with the labeled cells' rows held at their label. The regression
    tells types apart that lie side by side, the graph :cite:p:`zhou2004` bends its straight borders
    to where the cells are few.

    Parameters
    ----------
    z
        Cells × dimensions, in units of the spread within clusters.
    labels
        Codes of the labels, −1 where there is none.
    n_labels
        Number of labels; those without a cell get none.

    Returns
    -------
    Cells × labels, rows sum to 1; the rows of labeled cells are one-hot.
    """
    known = labels >= 0
    opinion = np.zeros((len(z), n_labels))
    seen = np.unique(labels[known])
    if len(seen) > 1 and not known.all():
        regression = LogisticRegression(max_iter=500).fit(z[known], labels[known])
        opinion[:, seen] = regression.predict_proba(z)
    else:
        opinion[:, seen] = 1 / len(seen)
    opinion[known] = np.eye(n_labels)[labels[known]]
    if known.all():
        return opinion
    walk = _random_walk(z)
    spread = opinion
    for _ in range(N_ROUNDS):
        spread = (1 - STAY) * (walk @ spread) + STAY * opinion
        spread[known] = opinion[known]
    return spread


def _random_walk(z: np.ndarray) -> sparse.csr_matrix:
    n, k = len(z), min(NEIGHBORS, len(z) - 1)
    neighbors = NearestNeighbors(n_neighbors=k).fit(z).kneighbors(return_distance=False)
    rows = np.repeat(np.arange(n), k)
    graph = sparse.csr_matrix((np.ones(n * k), (rows, neighbors.ravel())), shape=(n, n))
    graph = graph.maximum(graph.T)
    return sparse.diags(1 / np.asarray(graph.sum(1)).ravel()) @ graph


def label_start(
    z: np.ndarray,
    labels: np.ndarray,
    fine: np.ndarray,
    *,
    n_labels: int,
    components_per_label: int,
    n_free: int,
) -> np.ndarray:
    """Assignments that the components start from, where some cells have a label.

    A label's components start at the cells that :func:`propagate` gives it. The free ones start at
    the clusters that no label reaches (:func:`unreached`), as far as there are such.

    Parameters
    ----------
    z
        Latent means, cells × dimensions.
    labels
        Codes of the labels, −1 where there is none.
    fine
        Responsibilities of many small clusters, cells × clusters.
    n_labels, components_per_label, n_free
        The components: of every label, then the free ones.

    Returns
    -------
    Cells × components, those that no cell starts in left out at the end; the rows of labeled cells
    are zero outside the label's components.
    """
    share, _, variance = _moments(z, fine)
    z = z / np.sqrt(share @ variance)
    probs = propagate(z, labels, n_labels)
    free = unreached(fine, _moments(z, fine), labels, probs, n_free)
    free *= (labels < 0)[:, None]
    # all of a cell to one label: shared cells would pull the components together
    tied = np.eye(n_labels)[probs.argmax(1)] * (1 - free.sum(1, keepdims=True))
    tied = np.concatenate([_split(z, own, components_per_label) for own in tied.T], axis=1)
    return np.concatenate([tied, free], axis=1)


def _moments(z: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares, means and variances of soft clusters."""
    mass = q.sum(0).clip(1e-9 * len(z))
    loc = q.T @ z / mass[:, None]
    return mass / mass.sum(), loc, (q.T @ z**2 / mass[:, None] - loc**2).clip(1e-6)


def unreached(
    fine: np.ndarray,
    moments: tuple[np.ndarray, np.ndarray, np.ndarray],
    labels: np.ndarray,
    probs: np.ndarray,
    n_most: int,
) -> np.ndarray:
    """Clusters that are likely none of the labels'.

    Every cluster of the merge tree of the small ones is looked at, large ones first. Its cells
    would have labels, and of each label a share is known, which says how many labeled cells are
    expected in it. It is out of the labels' reach if at most a quarter of them is there (a few
    labels are wrong, or their cells are) and so few are no accident under a Poisson distribution,
    at 5 % for all the clusters of one cut together. With one label for every type nothing is
    unlikely enough, and every cluster goes to a label.

    Returns
    -------
    Cells × clusters, 1 where a cell is in one; at most ``n_most``, the largest first.
    """
    share, loc, variance = (torch.as_tensor(x) for x in moments)
    tree = merge_tree(share, loc, variance)
    known = labels >= 0
    n_known = np.bincount(labels[known], minlength=probs.shape[1])
    rate = n_known / probs.sum(0).clip(min=1)  # share of a label's cells that are known to be
    found: list[np.ndarray] = []  # cells of a cluster
    for n_clusters in range(2, fine.shape[1] + 1):
        cluster = (fine @ np.eye(n_clusters)[tree.cut(n_clusters)]).argmax(1)
        for k in range(n_clusters):
            cells = cluster == k
            if not cells.any() or any((cells & other).any() for other in found):
                continue
            expected = probs[cells].sum(0) @ rate
            there = np.count_nonzero(cells & known)
            if there <= FEW * expected and poisson.cdf(there, expected) < CHANCE / n_clusters:
                found.append(cells)
    found.sort(key=np.count_nonzero, reverse=True)
    return np.stack(found[:n_most], 1).astype(float) if found else np.zeros((len(fine), 0))


def _split(z: np.ndarray, weights: np.ndarray, n_parts: int) -> np.ndarray:
    """Share the cells of a label out among its components."""
    cells = np.flatnonzero(weights > 0.5)
    if n_parts == 1 or len(cells) < n_parts:
        return np.repeat(weights[:, None] / n_parts, n_parts, axis=1)
    seed = int(torch.randint(2**31 - 1, ()))
    parts = KMeans(n_parts, n_init=4, random_state=seed).fit(z[cells]).predict(z)
    return weights[:, None] * np.eye(n_parts)[parts]
