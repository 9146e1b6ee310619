"""Which cells are left out together."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans
from sklearn.model_selection import GroupKFold

__all__ = ["group_folds", "spatial_blocks"]

MAX_FOLDS = 20


def spatial_blocks(places: np.ndarray, n_blocks: int = 10, *, rng: int = 0) -> np.ndarray:
    """Cut a tissue into contiguous blocks by k-means of the places.

    Cells beside each other share what the tissue around them has in common. To leave out single
    cells would put their neighbors into training and flatter every read-out; to leave out a block
    does not.

    Parameters
    ----------
    places
        Shape (n, D).
    n_blocks
        Number of blocks. Few: harder to predict, for the hole is larger; many: closer to leaving
        out single cells.
    rng
        Seed of the k-means++ start.

    Returns
    -------
    Block of each cell, 0 … n_blocks − 1, shape (n,).
    """
    return KMeans(n_blocks, n_init=3, random_state=rng).fit_predict(places)


def group_folds(groups: np.ndarray) -> np.ndarray:
    """Fold of each cell: one group each, or of more than 20 groups several together.

    Parameters
    ----------
    groups
        Shape (n,).

    Returns
    -------
    Folds 0 … F − 1, shape (n,). No group is in two of them.

    Raises
    ------
    ValueError
        If there are fewer than 3 groups.
    """
    codes = np.unique(groups, return_inverse=True)[1]
    n_groups = int(codes.max()) + 1 if len(codes) else 0
    if n_groups < 3:
        raise ValueError(
            f"expected at least 3 groups of cells with a place, found {n_groups}: one is left out "
            "to measure the error, another to choose the penalty; choose finer groups"
        )
    if n_groups <= MAX_FOLDS:
        return codes
    folds = np.empty(len(codes), dtype=int)
    splits = GroupKFold(MAX_FOLDS).split(codes, groups=codes)
    for fold, (_, inside) in enumerate(splits):
        folds[inside] = fold
    return folds
