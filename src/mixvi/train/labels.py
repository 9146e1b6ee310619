"""Starting the components that are tied to labels, from few labeled cells or many."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.stats import binom
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

__all__ = ["accounted", "label_start", "propagate", "unclaimed"]

NEIGHBORS = 15
STAY = 0.03  # weight of a cell's own opinion against its neighbors'
N_ROUNDS = 150  # .97 to this power is about .01
EXPECTED = 4.0  # labels, and cells without, among a cell's neighbors where free components start
RATIO = 24  # cells of the one kind for a cell of the other
MOST = 0.5  # of the unlabeled cells around
CHANCE = 0.001  # that one of the regions that fit side by side has so few labels
MIN_CELLS = 5  # of a region
TINY = 1e-9


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
    walk = _random_walk(z, NEIGHBORS)
    spread = opinion
    for _ in range(N_ROUNDS):
        spread = (1 - STAY) * (walk @ spread) + STAY * opinion
        spread[known] = opinion[known]
    return spread


def _random_walk(z: np.ndarray, n_neighbors: int) -> sparse.csr_matrix:
    n, k = len(z), min(n_neighbors, len(z) - 1)
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
    cells without a label that no label accounts for (:func:`unclaimed`), as far as there are such.

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
    z = z / _spread(z, fine)
    probs = propagate(z, labels, n_labels)
    free = unclaimed(z, labels, probs, n_free)
    free *= (labels < 0)[:, None]
    # all of a cell to one label: shared cells would pull the components together
    tied = np.eye(n_labels)[probs.argmax(1)] * (1 - free.sum(1, keepdims=True))
    tied = np.concatenate([_split(z, own, components_per_label) for own in tied.T], axis=1)
    return np.concatenate([tied, free], axis=1)


def _spread(z: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Standard deviations within soft clusters."""
    mass = q.sum(0).clip(1e-9 * len(z))
    loc = q.T @ z / mass[:, None]
    variance = (q.T @ z**2 / mass[:, None] - loc**2).clip(1e-6)
    return np.sqrt(mass @ variance / mass.sum())


def unclaimed(z: np.ndarray, labels: np.ndarray, probs: np.ndarray, n_most: int) -> np.ndarray:
    """Regions where most of the cells without a label are likely none of the labels'.

    Cells of which :func:`accounted` is below one half form regions with their neighbors, and a
    region counts if so few labels in it are no accident under a binomial distribution, at .1 % for
    all regions of its size that fit side by side: it was found, of any place and shape, because it
    has few labels. A step to a neighbor is so wide that 4 labels, and 4 cells without, are expected
    in it. Thus a hole between few labels says nothing, one label for every type leaves nothing to
    be said, and where there are many labels the regions may be small.

    Parameters
    ----------
    z
        Cells × dimensions, in units of the spread within clusters.
    labels
        Codes of the labels, −1 where there is none.
    probs
        Probabilities of the labels, cells × labels.
    n_most
        Regions at most; the largest are returned.

    Returns
    -------
    Cells × regions, 1 where a cell is in one.
    """
    some = _thinned(labels)
    known, probs = labels[some] >= 0, probs[some]
    if known.all():
        return np.zeros((len(z), 0))
    n_known = probs[known].sum(0)
    rate = probs @ (n_known / probs.sum(0).clip(min=1))
    wide = max((1 / rate.clip(1 / RATIO)).mean(), 1 / (~known).mean())
    walk = _random_walk(z[some], math.ceil(EXPECTED * wide))
    met = walk @ known
    rate = probs @ (probs[known].T @ met[known] / n_known.clip(min=1))
    cells = np.flatnonzero(accounted(walk, known, rate) < MOST)
    n_regions, region = connected_components(walk[cells][:, cells], directed=False)
    regions = [cells[region == i] for i in range(n_regions)]
    regions = [own for own in regions if len(own) >= MIN_CELLS]
    code = np.zeros(len(some), dtype=int)
    for own in sorted(regions, key=len, reverse=True):
        by_chance = binom.cdf(np.count_nonzero(known[own]), len(own), rate[own].mean())
        if by_chance < CHANCE * len(own) / len(some) and code.max() < n_most:
            code[own] = code.max() + 1
    n_found = code.max()
    if len(some) < len(z):
        code = KNeighborsClassifier(1).fit(z[some], code).predict(z)
    return np.eye(n_found + 1)[code][:, 1:]


def accounted(walk: sparse.csr_matrix, known: np.ndarray, rate: np.ndarray) -> np.ndarray:
    r"""Share of the unlabeled cells around every cell that the labels account for.

    Two steps P of a walk end at a labeled cell with probability s = P² 1[labeled]; were all cells
    of the labels' types, with e = P² ρ, where ρ is the share of such cells whose label is known.
    Of a density p of the labels' types and one q of others, :math:`s = \rho p / (p + q)` and

    .. math:: \frac{s}{1-s} \cdot \frac{1-e}{e} = \frac{(1-\rho)\, p}{(1-\rho)\, p + q}.

    Parameters
    ----------
    walk
        P, cells × cells.
    known
        Which cells have a label.
    rate
        ρ of every cell, by the labels it may have.

    Returns
    -------
    Of every cell; by chance above 1.
    """
    s, e = walk @ (walk @ known), walk @ (walk @ rate)
    return s * (1 - e) / (e * (1 - s)).clip(TINY)


def _thinned(labels: np.ndarray) -> np.ndarray:
    """Cells with and without a label, at most 24 times as many of the one as of the other.

    Beyond that more of the one tell no more, and steps would be wide.
    """
    rng = np.random.default_rng(int(torch.randint(2**31 - 1, ())))
    fewer, more = sorted((np.flatnonzero(labels >= 0), np.flatnonzero(labels < 0)), key=len)
    return np.sort(np.concatenate([fewer, rng.permutation(more)[: RATIO * max(len(fewer), 1)]]))


def _split(z: np.ndarray, weights: np.ndarray, n_parts: int) -> np.ndarray:
    """Share the cells of a label out among its components."""
    cells = np.flatnonzero(weights > 0.5)
    if n_parts == 1 or len(cells) < n_parts:
        return np.repeat(weights[:, None] / n_parts, n_parts, axis=1)
    seed = int(torch.randint(2**31 - 1, ()))
    parts = KMeans(n_parts, n_init=4, random_state=seed).fit(z[cells]).predict(z)
    return weights[:, None] * np.eye(n_parts)[parts]
