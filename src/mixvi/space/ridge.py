"""Ridge regression from sums over groups of cells, for many targets and penalties at once.

A permutation test fits the same cells to hundreds of shuffled places, each with its own
cross-validated penalty. All of it depends on the cells only through sums over the groups that are
left out, so the cells are visited once for each shuffle and never again for folds and penalties.
The result is that of :class:`sklearn.linear_model.Ridge` (the tests compare them).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

__all__ = ["Moments", "cross_validate", "moments", "ridge", "squared_error"]


@dataclass(frozen=True)
class Moments:
    """Sums over the cells of a group: of a union they add up.

    Attributes
    ----------
    n
        Number of cells.
    z, zz
        Sums of z, shape (p,), and of z zᵀ, shape (p, p).
    y, zy, yy
        Sums of the targets y, shape (S, D); of z yᵀ, shape (p, S, D); of ‖y‖², shape (S,). S
        counts the alternatives, for example permutations, and D the coordinates of a place.
    """

    n: float
    z: np.ndarray
    zz: np.ndarray
    y: np.ndarray
    zy: np.ndarray
    yy: np.ndarray

    def __sub__(self, other: Moments) -> Moments:
        return Moments(*(a - b for a, b in zip(self._all(), other._all(), strict=True)))

    def __add__(self, other: Moments) -> Moments:
        return Moments(*(a + b for a, b in zip(self._all(), other._all(), strict=True)))

    def _all(self) -> tuple:
        return self.n, self.z, self.zz, self.y, self.zy, self.yy


def moments(z: np.ndarray, y: np.ndarray, folds: np.ndarray) -> list[Moments]:
    """Sums over the cells of each fold.

    Parameters
    ----------
    z
        Latent representation, shape (n, p).
    y
        Targets, shape (S, n, D).
    folds
        Fold of each cell, 0 … F − 1, shape (n,).
    """
    found = []
    for fold in range(folds.max() + 1):
        inside = folds == fold
        own, targets = z[inside], y[:, inside]
        zy = np.stack([own.T @ target for target in targets], axis=1)
        sums = targets.sum(1), zy, np.square(targets).sum((1, 2))
        found.append(Moments(float(inside.sum()), own.sum(0), own.T @ own, *sums))
    return found


def ridge(train: Moments, penalties: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Coefficients and intercept of all targets.

    .. math::
        \min_{B, b} \sum_i \|y_i - B^\top z_i - b\|^2 + \alpha \|B\|^2, \qquad
        \alpha = \lambda \, \tfrac{1}{p} \sum_i \|z_i - \bar z\|^2

    The penalty is relative to the spread of z, so it is the same for z in other units and for any
    number of cells. One decomposition serves all penalties.

    Parameters
    ----------
    train
        Sums over the cells to fit.
    penalties
        λ > 0, shape (L, 1), or (L, S) for one of its own for each alternative. Near 0: least
        squares; large: the mean place for every cell.

    Returns
    -------
    coef, intercept
        Shapes (L, p, S, D) and (L, S, D).
    """
    mean, target = train.z / train.n, train.y / train.n
    covariance = train.zz - train.n * np.outer(mean, mean)
    cross = train.zy - train.z[:, None, None] * target
    values, vectors = eigh(covariance, check_finite=False, driver="evd")
    # cells without any spread: the coefficients are 0, whatever the penalty
    unit = max(values.mean(), np.finfo(float).tiny ** 0.5)
    scale = np.maximum(values, 0)[:, None] + unit * penalties[:, None, :]  # (L, p, 1 or S)
    coef = _times(vectors, _times(vectors.T, cross) / scale[..., None])
    return coef, target - np.tensordot(coef, mean, (1, 0))


def squared_error(test: Moments, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """Sum over cells and coordinates of the squared error of each alternative, shape (L, S)."""
    fitted = _times(test.zz, coef) + 2 * test.z[:, None, None] * intercept[:, None]
    error = test.yy + test.n * np.square(intercept).sum(-1) - 2 * (intercept * test.y).sum(-1)
    error = error + (coef * (fitted - 2 * test.zy)).sum((1, 3))
    return np.maximum(error, 0)  # rounding may leave an exact fit below


def cross_validate(
    folds: list[Moments], penalties: np.ndarray
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Leave out every fold, with a penalty chosen by leaving out a second one.

    The penalty of each alternative is the one with the least mean squared error, averaged over
    the folds that are left out so that every fold counts the same; of equal ones the first.

    Parameters
    ----------
    folds
        Sums over the cells of each of F ≥ 3 folds.
    penalties
        Candidates, shape (L,).

    Returns
    -------
    error
        Mean squared error of every penalty on the folds left out, shape (L, S).
    left_out
        For every fold: coefficients (p, S, D), intercept (S, D) and penalty (S,), fitted to the
        others.
    """
    total, path = sum(folds[1:], start=folds[0]), penalties[:, None]
    n_folds, shape = len(folds), (len(penalties), len(folds[0].yy))
    outer, inner = np.zeros(shape), np.zeros((n_folds, *shape))
    for i, one in enumerate(folds):
        outer += squared_error(one, *ridge(total - one, path)) / one.n
        for j, other in enumerate(folds[:i]):  # one fit without both serves both
            fitted = ridge(total - one - other, path)
            inner[i] += squared_error(other, *fitted) / other.n
            inner[j] += squared_error(one, *fitted) / one.n
    left_out = []
    for one, error in zip(folds, inner, strict=True):
        chosen = penalties[error.argmin(0)]
        coef, intercept = ridge(total - one, chosen[None])
        left_out.append((coef[0], intercept[0], chosen))
    return outer / n_folds, left_out


def _times(matrix: np.ndarray, stack: np.ndarray) -> np.ndarray:
    """Multiply along the axis of p of (…, p, S, D)."""
    flat = stack.reshape(*stack.shape[:-2], -1)
    return (matrix @ flat).reshape(stack.shape)
