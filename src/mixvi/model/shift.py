"""How far each cluster moves between two conditions, and those that were seen in one only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = [
    "MIN_CELLS",
    "Shift",
    "choose_temperature",
    "group_moments",
    "measured_shift",
    "shrink_shift",
    "similarity_weights",
]

MIN_CELLS = 5.0  # in either condition; with fewer a cluster counts as not seen there
MIN_SHARE = 0.1  # of the cells that its size in the other condition lets expect; fewer are strays
TEMPERATURES = np.geomspace(0.02, 20, 31)  # in units of the mean squared distance


@dataclass(frozen=True)
class Shift:
    """Differences of latent means between two conditions, one row per cluster.

    Attributes
    ----------
    mean
        δ, clusters × latent dimensions.
    variance
        Its variance, the same shape; infinite where a cluster was not seen in both conditions.
    cells
        Effective number of cells behind it, 1 / (1/n_source + 1/n_target); 0 where not seen.
    """

    mean: np.ndarray
    variance: np.ndarray
    cells: np.ndarray

    @property
    def seen(self) -> np.ndarray:
        """Clusters with cells in both conditions, a mask."""
        return self.cells > 0


def group_moments(z: np.ndarray, probs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of cells, mean and variance of every cluster's latent means.

    Parameters
    ----------
    z
        Latent means, cells × dimensions.
    probs
        Responsibilities, cells × clusters; a cell counts in every cluster by its share.

    Returns
    -------
    Cells (clusters,), means and variances (clusters, dimensions); clusters without a cell are at
    the mean of all.
    """
    n = probs.sum(0).astype(float)
    weights = probs / np.where(n > 0, n, 1)
    center = z.mean(0) if len(z) else np.zeros(z.shape[1])
    offset = z - center
    mean = weights.T @ offset
    variance = (weights.T @ offset**2 - mean**2).clip(min=0)
    return n, center + mean, variance


def measured_shift(
    source: tuple[np.ndarray, np.ndarray, np.ndarray],
    target: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> Shift:
    r"""Difference of the means of every cluster, and how well it is known.

    .. math:: \delta_k = m_k^\text{target} - m_k^\text{source}, \qquad
              \operatorname{Var} \delta_k = v_k^\text{source} / n_k^\text{source}
              + v_k^\text{target} / n_k^\text{target}

    A cluster is seen if it has five cells in both conditions and in neither less than a tenth of
    the share that it has in the other: fewer are strays of other clusters.

    Parameters
    ----------
    source, target
        :func:`group_moments` of the cells in either condition.
    """
    (n0, m0, v0), (n1, m1, v1) = source, target
    share0, share1 = n0 / n0.sum().clip(min=1), n1 / n1.sum().clip(min=1)
    seen = (n0 >= MIN_CELLS) & (n1 >= MIN_CELLS)
    seen &= (share0 >= MIN_SHARE * share1) & (share1 >= MIN_SHARE * share0)
    n0, n1 = np.where(seen, n0, 1), np.where(seen, n1, 1)
    return Shift(
        mean=np.where(seen[:, None], m1 - m0, 0),
        variance=np.where(seen[:, None], v0 / n0[:, None] + v1 / n1[:, None], np.inf),
        cells=np.where(seen, 1 / (1 / n0 + 1 / n1), 0),
    )


def similarity_weights(distances: np.ndarray, cells: np.ndarray, temperature: float) -> np.ndarray:
    r"""How much every cluster says about the shift of each other one.

    .. math:: a_{kj} \propto n_j \, e^{-D_{kj} / T}, \qquad a_{kk} = 0, \quad \sum_j a_{kj} = 1

    Parameters
    ----------
    distances
        D, squared distances of the clusters' source profiles, clusters × clusters, in units of
        their mean.
    cells
        n, effective number of cells behind every measured shift; 0 takes a cluster out.
    temperature
        T. Small: the most similar cluster alone. Large: every cell counts the same.

    Returns
    -------
    Clusters × clusters; the row of a cluster without any other to learn from is 0.
    """
    others = np.tile(np.asarray(cells, dtype=float), (len(cells), 1))
    np.fill_diagonal(others, 0)
    known = others > 0
    nearest = np.where(known, distances, np.inf).min(1, keepdims=True)
    gap = np.where(known, distances - np.where(np.isfinite(nearest), nearest, 0), 0)
    weights = others * np.exp(-gap / temperature)
    total = weights.sum(1, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def choose_temperature(
    effects: np.ndarray, distances: np.ndarray, cells: np.ndarray
) -> tuple[float, float]:
    r"""The temperature that predicts each measured cluster best from the others.

    .. math:: \min_T \sum_k \| e_k - \textstyle\sum_{j \ne k} a_{kj}(T) \, e_j \|^2

    Every cluster counts the same: a rare type is as much of a test as a common one.

    Parameters
    ----------
    effects
        e, what the shift does to expression, clusters × genes; rows of unseen clusters are not
        used.
    distances, cells
        As in :func:`similarity_weights`.

    Returns
    -------
    T, and the share of the effects that the others explain,
    1 − Σ ‖error‖² / Σ ‖e_k‖²; infinite T and NaN with fewer than two measured clusters.
    """
    seen = np.asarray(cells) > 0
    if seen.sum() < 2:
        return np.inf, np.nan
    effects, distances, cells = effects[seen], distances[np.ix_(seen, seen)], cells[seen]
    errors = [
        ((effects - similarity_weights(distances, cells, t) @ effects) ** 2).sum()
        for t in TEMPERATURES
    ]
    best = int(np.argmin(errors))
    total = (effects**2).sum()
    return float(TEMPERATURES[best]), float(1 - errors[best] / total) if total else np.nan


def shrink_shift(shift: Shift, weights: np.ndarray) -> Shift:
    r"""Every cluster's shift, shrunk to what similar clusters do.

    .. math:: \hat\delta_k = s_k + \lambda_k (\delta_k - s_k), \quad
              s_k = \sum_j a_{kj} \delta_j, \quad
              \lambda_k = \frac{\tau^2}{\tau^2 + \operatorname{Var} \delta_k}

    per latent dimension. τ² is the spread of the shifts around s_k beyond their noise, by the
    method of moments over the measured clusters (empirical Bayes). A cluster measured on many
    cells keeps its own shift; one that was never seen in the target has λ = 0 and takes s_k, with
    variance τ² + Σ_j a_kj² Var δ_j.

    Parameters
    ----------
    shift
        Measured shifts.
    weights
        a, from :func:`similarity_weights`.

    Returns
    -------
    Shifts of all clusters with their posterior variances. With one measured cluster there is no
    spread to learn from: all take its shift, unseen ones with its square as variance.
    """
    seen = shift.seen
    if seen.sum() < 2:
        only = np.where(seen[:, None], shift.mean, 0).sum(0)
        mean = np.tile(only, (len(seen), 1))
        return Shift(mean, np.where(seen[:, None], shift.variance, mean**2), shift.cells)
    similar = weights @ shift.mean
    noise = np.where(seen[:, None], shift.variance, 0)
    noise_of_similar = weights**2 @ noise
    excess = (shift.mean - similar) ** 2 - noise - noise_of_similar
    spread = excess[seen].mean(0).clip(min=0)
    known = spread / np.where(spread + noise > 0, spread + noise, 1)
    known = np.where(seen[:, None], known, 0)
    # an exact measurement is kept even where the clusters do not differ
    known = np.where(seen[:, None] & (noise == 0), 1, known)
    return Shift(
        mean=similar + known * (shift.mean - similar),
        variance=np.where(seen[:, None], known * noise, spread + noise_of_similar),
        cells=shift.cells,
    )
