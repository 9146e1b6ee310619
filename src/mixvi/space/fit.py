"""Fit a read-out and measure its error on groups that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .groups import group_folds
from .readout import Readout
from .ridge import Moments, cross_validate, moments, ridge

__all__ = ["PENALTIES", "PlaceFit", "fit_places"]

# strong ones first: of equally good ones the strongest is taken
PENALTIES = np.logspace(3, -5, 9)


@dataclass(frozen=True)
class PlaceFit:
    """A read-out and how well it does on groups left out.

    Attributes
    ----------
    readout
        Fitted to all cells.
    penalty
        Its λ, relative to the spread of z.
    predicted
        Place of each cell by the read-out that was fitted without its group, shape (n, D).
    r2
        Share of the variance of the places that these explain. Below 0: worse than the mean place
        of all cells, which a read-out that leaves out a group does not know.
    """

    readout: Readout
    penalty: float
    predicted: np.ndarray
    r2: float


def fit_places(
    z: np.ndarray, places: np.ndarray, groups: ArrayLike, *, penalties: np.ndarray = PENALTIES
) -> PlaceFit:
    """Fit a linear map from the latent space to places, by ridge regression.

    Every group is left out once. The penalty of the read-out that predicts it is chosen by leaving
    out, one after the other, the groups that remain, so nothing about a group is known to what
    predicts it. Of more than 20 groups several are left out together.

    Parameters
    ----------
    z
        Latent representation, shape (n, p).
    places
        Shape (n, D). One penalty serves all coordinates, so that a rotated or rescaled map gives
        the rotated or rescaled result.
    groups
        What is left out together: donor, section, zone, block; at least 3, shape (n,).
    penalties
        Candidates for λ > 0, relative to the spread of z (the mean over the dimensions of its sum
        of squares). Near 0: least squares; large: the mean place for every cell.

    Raises
    ------
    ValueError
        If there are fewer than 3 groups, or all places are the same.
    """
    z, places = _checked(z, places)
    folds = group_folds(np.asarray(groups))
    center, origin = z.mean(0), places.mean(0)
    sums = moments(z - center, (places - origin)[None], folds)
    total = sum(sums[1:], start=sums[0])
    error, left_out = cross_validate(sums, penalties)
    penalty = float(penalties[error[:, 0].argmin()])

    coef, intercept = (fitted[0, ..., 0, :] for fitted in ridge(total, np.array([[penalty]])))
    group_coef = np.stack([fitted[0][:, 0] for fitted in left_out])
    group_intercept = np.stack([fitted[1][0] for fitted in left_out])
    # back from centered coordinates
    intercept = intercept - center @ coef + origin
    group_intercept = group_intercept - center @ group_coef + origin

    predicted = np.einsum("np,npd->nd", z, group_coef[folds]) + group_intercept[folds]
    residual = places - predicted
    inside = [residual[folds == fold] for fold in range(len(sums))]
    readout = Readout(
        coef,
        intercept,
        group_coef,
        group_intercept,
        np.stack([r.mean(0) for r in inside]),
        np.stack([np.square(r).mean(0) for r in inside]),
    )
    r2 = 1 - float(np.square(residual).sum()) / float(spread(total)[0])
    return PlaceFit(readout, penalty, predicted, r2)


def spread(total: Moments) -> np.ndarray:
    """Sum of squared distances of the places to their mean, for each alternative, shape (S,)."""
    return total.yy - np.square(total.y).sum(-1) / total.n


def _checked(z: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z, places = np.asarray(z, dtype=np.float64), np.asarray(places, dtype=np.float64)
    if z.ndim != 2 or places.ndim != 2 or len(z) != len(places):
        raise ValueError(
            "expected cells × dimensions and cells × coordinates of the same cells, found shapes "
            f"{z.shape} and {places.shape}; pass one row for each cell"
        )
    for name, values in {"z": z, "places": places}.items():
        if not np.isfinite(values).all():
            raise ValueError(
                f"expected finite numbers in `{name}`, found NaN or infinity; leave these cells out"
            )
    if not len(places) or (places == places[0]).all():
        raise ValueError(
            "expected cells with at least two different places, found fewer; a map needs places to "
            "tell apart"
        )
    return z, places
