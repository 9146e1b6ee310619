"""EM for a normal mixture with one shared covariance: every step a matrix product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

__all__ = ["TiedMixture", "fit_tied", "sizes_and_means"]

RIDGE = 1e-3  # added to the covariance
TOLERANCE = 1e-3  # nats per cell; near the optimum is near enough to start from
MAX_ITER = 200


@dataclass(frozen=True)
class TiedMixture:
    """A fitted mixture.

    Attributes
    ----------
    probs
        Responsibilities, cells × components.
    log_likelihood
        Mean over cells, in nats.
    """

    probs: np.ndarray
    log_likelihood: float


def sizes_and_means(z: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of cells and mean of every cluster that has cells.

    Parameters
    ----------
    z
        Cells × dimensions.
    clusters
        Cluster of every cell, 0 … K − 1.
    """
    counts = np.bincount(clusters)
    sums = np.stack([np.bincount(clusters, column) for column in z.T], 1)
    return counts, sums / counts[:, None]


def fit_tied(z: np.ndarray, clusters: np.ndarray) -> TiedMixture:
    r"""Fit p(z) = Σ_k π_k N(z | μ_k, Σ), starting from a partition.

    In coordinates where Σ is the unit matrix the distances of all cells to all components are one
    product, :math:`\|y\|^2 - 2 y m^\top + \|m\|^2`.

    Parameters
    ----------
    z
        Cells × dimensions.
    clusters
        Cluster of every cell, 0 … K − 1, none of them empty.
    """
    z = z - z.mean(0)  # so that the expanded square does not cancel
    second = z.T @ z
    counts, means = sizes_and_means(z, clusters)
    counts = counts.astype(float)
    before = -np.inf
    for _ in range(MAX_ITER):
        probs, log_likelihood = _responsibilities(z, second, counts, means)
        counts = probs.sum(0) + 10 * np.finfo(float).eps
        means = probs.T @ z / counts[:, None]
        if abs(log_likelihood - before) < TOLERANCE:
            break
        before = log_likelihood
    return TiedMixture(_responsibilities(z, second, counts, means)[0], log_likelihood)


def _responsibilities(
    z: np.ndarray, second: np.ndarray, counts: np.ndarray, means: np.ndarray
) -> tuple[np.ndarray, float]:
    """Responsibilities and mean log p(z) with the covariance that the means leave."""
    n_cells, n_latent = z.shape
    covariance = (second - (counts * means.T) @ means) / n_cells + RIDGE * np.eye(n_latent)
    log_joint = _log_joint(z, counts / counts.sum(), means, covariance)
    largest = log_joint.max(1, keepdims=True)
    probs = np.exp(log_joint - largest, out=log_joint)
    total = probs.sum(1, keepdims=True)
    probs /= total
    return probs, float((largest + np.log(total)).mean())


def _log_joint(
    z: np.ndarray, weights: np.ndarray, means: np.ndarray, covariance: np.ndarray
) -> np.ndarray:
    """Log π_k N(z | μ_k, Σ), cells × components."""
    root = np.linalg.cholesky(covariance)
    y, m = (solve_triangular(root, x.T, lower=True).T for x in (z, means))
    constant = np.log(weights) - 0.5 * (m**2).sum(1)
    constant -= np.log(root.diagonal()).sum() + 0.5 * z.shape[1] * np.log(2 * np.pi)
    return y @ m.T + constant - 0.5 * (y**2).sum(1, keepdims=True)
