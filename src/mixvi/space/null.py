"""How well a linear map does when places have nothing to do with cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mixvi._progress import progress

from .fit import PENALTIES, _checked
from .groups import group_folds
from .ridge import cross_validate, moments, squared_error

__all__ = ["CHANCE", "PermutationNull", "permutation_null"]

How = Literal["auto", "groups", "cells"]
CHANCE = 0.01  # p from which on a map is called no better than chance
_NUMBERS_AT_ONCE = 20_000_000  # in one array of shuffled places: 160 MB


@dataclass(frozen=True)
class PermutationNull:
    r"""How much better a map is than the mean place, for the places and for shuffled ones.

    .. math:: 1 - \frac{\sum_i \|y_i - \hat y_i\|^2}{\sum_i \|y_i - \bar y_{-g(i)}\|^2}

    with predictions and means from which the cell's own group g(i) was left out. R² itself would
    not do: what the mean place makes of groups that lie elsewhere depends on how they lie, and
    places that are exchanged between groups of other size and shape make R² lower without any map.

    Attributes
    ----------
    skill
        With the places as they are.
    null
        With shuffled ones, shape (n_permutations,).
    how
        ``"groups"`` or ``"cells"``: what was shuffled.
    """

    skill: float
    null: np.ndarray
    how: str

    @property
    def p_value(self) -> float:
        """Share of shuffled places, with the real ones among them, that do as well or better."""
        return float((1 + (self.null >= self.skill - 1e-9).sum()) / (1 + len(self.null)))


def permutation_null(
    z: np.ndarray,
    places: np.ndarray,
    groups: ArrayLike,
    *,
    how: How = "auto",
    n_permutations: int = 200,
    penalties: np.ndarray = PENALTIES,
    rng: int | np.random.Generator | None = None,
) -> PermutationNull:
    """Shuffle places and repeat all of :func:`fit_places`, the choice of the penalty included.

    Parameters
    ----------
    z, places, groups, penalties
        As in :func:`fit_places`.
    how
        ``"groups"``: the centers of groups are exchanged and a group moves as a whole, so that
        what neighbors have in common stays. The question is which group lies where; with G groups
        p is hardly below 1/G!. ``"cells"``: cells exchange places within their group (cells of one
        group at the same place move together). The question is where in its group a cell lies.
        ``"auto"`` takes groups if more than half of the variance of the places is between them
        (zones, organs, blocks of a tissue), cells otherwise (sections or donors that each have
        all places).
    n_permutations
        With n of them p is at least 1/(n + 1).
    rng
        Seed or generator of the permutations.

    Raises
    ------
    ValueError
        If there are fewer than 3 groups, all places are the same, or all cells of every group are
        at the same place and cells are to be shuffled.
    """
    if how not in ("auto", "groups", "cells"):
        raise ValueError(f"expected how to be 'auto', 'groups' or 'cells', found {how!r}")
    if n_permutations < 1:
        raise ValueError(f"expected at least 1 permutation, found {n_permutations}; take 200")
    z, places = _checked(z, places)
    folds = group_folds(np.asarray(groups))
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    z, places = z - z.mean(0), places - places.mean(0)
    centers = np.stack([places[codes == g].mean(0) for g in range(codes.max() + 1)])
    if how == "auto":
        between = np.square(centers[codes]).sum() / np.square(places).sum()
        how = "groups" if between > 0.5 else "cells"
    generator = np.random.default_rng(rng)
    if how == "groups":
        shuffles = _shuffled_groups(places, codes, centers, generator)
    else:
        shuffles = _shuffled_cells(places, codes, generator)

    def scores(alternatives: np.ndarray) -> np.ndarray:
        sums = moments(z, alternatives, folds)
        total = sum(sums[1:], start=sums[0])
        left_out = cross_validate(sums, penalties)[1]
        error, of_mean = np.zeros((2, len(alternatives)))
        for one, (coef, b, _) in zip(sums, left_out, strict=True):
            others = total - one
            error += squared_error(one, coef[None], b[None])[0]
            of_mean += squared_error(one, 0 * coef[None], others.y[None] / others.n)[0]
        return 1 - error / of_mean

    at_once = max(1, _NUMBERS_AT_ONCE // places.size)
    found: list[np.ndarray] = []
    shuffled = chain([places], islice(shuffles, n_permutations))
    left = progress(shuffled, "shuffled places", n_permutations + 1)
    while part := list(islice(left, at_once)):
        found.append(scores(np.stack(part)))
    skill = np.concatenate(found)
    return PermutationNull(float(skill[0]), skill[1:], how)


def _shuffled_groups(
    places: np.ndarray, codes: np.ndarray, centers: np.ndarray, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Exchange the centers of the groups."""
    while True:
        yield places + (rng.permutation(centers) - centers)[codes]


def _shuffled_cells(
    places: np.ndarray, codes: np.ndarray, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Exchange the different places of each group among those who are there."""
    distinct = []
    for group in range(codes.max() + 1):
        inside = np.flatnonzero(codes == group)
        there, which = np.unique(places[inside], axis=0, return_inverse=True)
        distinct.append((inside, there, which.ravel()))
    if all(len(there) == 1 for _, there, _ in distinct):
        raise ValueError(
            "expected groups with cells at different places, found one place in each; shuffle "
            "'groups' instead of 'cells'"
        )
    while True:
        shuffled = np.empty_like(places)
        for inside, there, which in distinct:
            shuffled[inside] = rng.permutation(there)[which]
        yield shuffled
