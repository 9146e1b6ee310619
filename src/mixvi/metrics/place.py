"""How far predicted places are from the measured ones."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata


def place_scores(measured: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    r"""Compare predicted places with measured ones.

    Parameters
    ----------
    measured, predicted
        Shape (n, D), or (n,) for one coordinate such as a depth. Cells without a place (NaN) in
        either are left out.

    Returns
    -------
    dict
        ``median_distance`` and ``mean_distance`` (Euclidean, in the unit of the places), ``r2``
        (share of the variance that is explained, :math:`1 - \sum\|y - \hat y\|^2 / \sum\|y - \bar
        y\|^2`; these three do not change when the map is rotated), ``spearman`` (rank correlation,
        mean over coordinates; NaN where a prediction is constant) and ``n`` (cells compared).

    Raises
    ------
    ValueError
        If shapes differ or no cell has both.
    """
    y, fitted = _places(measured, predicted)
    distance = np.linalg.norm(y - fitted, axis=1)
    total = np.square(y - y.mean(0)).sum()
    return {
        "median_distance": float(np.median(distance)),
        "mean_distance": float(distance.mean()),
        "r2": float(1 - np.square(distance).sum() / total) if total > 0 else float("nan"),
        "spearman": float(np.mean([_spearman(a, b) for a, b in zip(y.T, fitted.T, strict=True)])),
        "n": float(len(y)),
    }


def zone_scores(zones: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Compare places along an axis with the ordered zones that cells came from.

    Every cell is put into the zone next to its predicted place.

    Parameters
    ----------
    zones
        Place of each cell's zone, a number that rises from zone to zone, shape (n,).
    predicted
        Predicted place on the same scale, shape (n,). Cells with NaN in either are left out.

    Returns
    -------
    dict
        ``zone_error`` (mean number of zones between the cell's and the predicted one),
        ``zone_accuracy`` (share of cells put into their zone) and ``spearman``.

    Raises
    ------
    ValueError
        If shapes differ, no cell has both, or places have more than one coordinate.
    """
    y, fitted = _places(zones, predicted)
    if y.shape[1] != 1:
        raise ValueError(
            f"expected one coordinate, found {y.shape[1]}; zones are ordered along one axis"
        )
    there, rank = np.unique(y[:, 0], return_inverse=True)
    next_to = np.abs(fitted - there).argmin(1)
    return {
        "zone_error": float(np.abs(next_to - rank).mean()),
        "zone_accuracy": float((next_to == rank).mean()),
        "spearman": _spearman(y[:, 0], fitted[:, 0]),
    }


def _places(measured: ArrayLike, predicted: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as (n, D), of the cells that have both."""
    y, fitted = np.asarray(measured, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if y.shape != fitted.shape or y.ndim not in (1, 2):
        raise ValueError(
            "expected `measured` and `predicted` of one shape, cells × coordinates, found "
            f"{y.shape} and {fitted.shape}; pass one row for each cell in both"
        )
    y, fitted = y.reshape(len(y), -1), fitted.reshape(len(y), -1)
    both = np.isfinite(y).all(1) & np.isfinite(fitted).all(1)
    if not both.any():
        raise ValueError("expected cells with a measured and a predicted place, found none")
    return y[both], fitted[both]


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation, NaN if one side is constant."""
    a, b = (rank - rank.mean() for rank in (rankdata(a), rankdata(b)))
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm > 0 else float("nan")
