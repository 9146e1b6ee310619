"""Expression on a log scale, read from what a model knows about a cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA

__all__ = ["LinearPath", "Readout", "fit_linear_path", "fit_readout", "log_normalized"]

PENALTY = 30.0  # cells that the prior at the mean is worth
N_PCS = 20
TEN_THOUSAND = 1e4


def log_normalized(x: np.ndarray | sparse.csr_matrix, depth: np.ndarray) -> sparse.csr_matrix:
    """log(1 + counts per 10,000).

    Parameters
    ----------
    x
        Counts, cells × genes.
    depth
        Library sizes, (cells,).
    """
    y = sparse.csr_matrix(x, dtype=np.float32)
    y = sparse.csr_matrix(sparse.diags(TEN_THOUSAND / depth) @ y)
    y.data = np.log1p(y.data)
    return y


@dataclass(frozen=True)
class Readout:
    """An affine map from features to expression: ``center`` and ``mean`` go to each other."""

    weights: np.ndarray
    center: np.ndarray
    mean: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Expression, points × genes."""
        return (features - self.center) @ self.weights + self.mean


def fit_readout(features: np.ndarray, y: sparse.csr_matrix, penalty: float = PENALTY) -> Readout:
    r"""Ridge regression of expression on features.

    .. math:: W = (F^\top F + \lambda \bar v I)^{-1} F^\top Y

    with both centered and :math:`\bar v` the mean variance of the features: the penalty λ counts
    cells.

    Parameters
    ----------
    features
        F, cells × features.
    y
        Y, cells × genes.
    penalty
        λ. Large: everything is read as the mean.
    """
    center, mean = features.mean(0), np.asarray(y.mean(0)).ravel()
    offset = features - center
    gram = offset.T @ offset
    variance = np.trace(gram) / features.size
    crossed = (y.T @ offset).T  # the mean of y drops out
    weights = np.linalg.solve(gram + penalty * variance * np.eye(len(gram)), crossed)
    return Readout(weights, center, mean)


@dataclass(frozen=True)
class LinearPath:
    """Principal components of expression.

    Attributes
    ----------
    components
        Orthonormal, components × genes.
    mean
        (genes,).
    """

    components: np.ndarray
    mean: np.ndarray

    def encode(self, y: np.ndarray | sparse.csr_matrix) -> np.ndarray:
        """Scores, cells × components."""
        return np.asarray(y @ self.components.T) - self.mean @ self.components.T

    def decode(self, scores: np.ndarray) -> np.ndarray:
        """Expression, cells × genes."""
        return scores @ self.components + self.mean


def fit_linear_path(y: sparse.csr_matrix, n_components: int = N_PCS) -> LinearPath:
    """Principal components of log-normalized expression.

    Parameters
    ----------
    y
        Cells × genes.
    n_components
        Number of components, as far as there are cells and genes for them.
    """
    n_components = min(n_components, min(y.shape) - 1)
    pca = PCA(n_components, svd_solver="arpack", random_state=0).fit(y)
    # in double precision: without a change, expression is the same to the last bit
    return LinearPath(pca.components_.astype(float), pca.mean_.astype(float))
