"""How well batches are mixed where they should be: within a cell type."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr
from sklearn.neighbors import NearestNeighbors

__all__ = ["within_type_mixing"]


def within_type_mixing(
    z: ArrayLike, batches: ArrayLike, labels: ArrayLike, *, n_neighbors: int = 30
) -> float:
    r"""Entropy of the batches around a cell, among cells of its own type.

    .. math:: \frac1T \sum_t \frac{\mathrm{mean}_{n \in t}\; H(\text{batches of the neighbors of }
              n \text{ within } t)}{H(\text{batches of } t)}

    1 if neighbors are drawn from the type regardless of batch (a little less for few neighbors), 0
    if every batch keeps to itself. Types are compared with themselves only, so that batches of
    different composition are no fault, and types without a second batch are left out.

    Parameters
    ----------
    z
        Latent space, cells × dimensions.
    batches, labels
        Batch and type of every cell.
    n_neighbors
        Neighbors of a cell; at most a third of its type.

    Raises
    ------
    ValueError
        If lengths differ, or no type is in two batches.
    """
    z = np.asarray(z, dtype=float)
    batch, label = np.asarray(batches).astype(str), np.asarray(labels).astype(str)
    if not len(z) == len(batch) == len(label):
        raise ValueError(
            f"expected one row, batch and label per cell, found {len(z)}, {len(batch)} and "
            f"{len(label)}; pass the same cells"
        )
    scores = []
    for name in np.unique(label):
        own = label == name
        one_hot = (batch[own][:, None] == np.unique(batch[own])).astype(float)
        k = min(n_neighbors, int(own.sum()) // 3)
        if one_hot.shape[1] < 2 or k < 1:
            continue
        neighbors = NearestNeighbors(n_neighbors=k).fit(z[own]).kneighbors(return_distance=False)
        around = entr(one_hot[neighbors].mean(1)).sum(1).mean()
        scores.append(around / entr(one_hot.mean(0)).sum())
    if not scores:
        raise ValueError(
            "expected a type with cells in two batches, found none; mixing within types is not "
            "defined for these cells"
        )
    return float(np.mean(scores))
