"""Peers that predict a stimulated profile: arithmetic on means, and on principal components."""

from collections.abc import Callable

import anndata as ad
import numpy as np
from sklearn.decomposition import PCA

TYPE, CONDITION, CONTROL, STIMULATED = "cell_type", "condition", "control", "stimulated"
N_PCS = 20
TEMPERATURES = np.geomspace(0.02, 20, 31)

Peer = Callable[[ad.AnnData, str, int], np.ndarray]


def identity(train: ad.AnnData, held_out: str, seed: int) -> np.ndarray:
    """Predict no change: the control mean."""
    return _mean(train, held_out, CONTROL)


def mean_shift(train: ad.AnnData, held_out: str, seed: int) -> np.ndarray:
    """Add the difference of all other cells' means."""
    other = train[(train.obs[TYPE] != held_out).to_numpy()]
    shift = _mean(other, None, STIMULATED) - _mean(other, None, CONTROL)
    return _mean(train, held_out, CONTROL) + shift


def pca_equal(train: ad.AnnData, held_out: str, seed: int) -> np.ndarray:
    """Add the average shift of the other types' component scores, all with the same weight."""
    return _pca_shift(train, held_out, seed, similarity=False)


def pca_similarity(train: ad.AnnData, held_out: str, seed: int) -> np.ndarray:
    """Weigh the types' shifts by the similarity of their control cells, half anchored.

    The temperature of the weights (a softmax of squared distances in units of their mean) is the
    one that predicts each of the other types best from the rest.
    """
    return _pca_shift(train, held_out, seed, similarity=True)


def _pca_shift(train: ad.AnnData, held_out: str, seed: int, *, similarity: bool) -> np.ndarray:
    y = train.layers["lognorm"].toarray()
    pca = PCA(N_PCS, random_state=seed).fit(y)
    scores = ad.AnnData(pca.transform(y), obs=train.obs)
    others = [name for name in train.obs[TYPE].cat.categories if name != held_out]
    control = np.array([_mean(scores, name, CONTROL) for name in [*others, held_out]])
    shifts = np.array([_mean(scores, name, STIMULATED) for name in others]) - control[:-1]
    weights = np.full(len(others), 1 / len(others))
    if similarity:
        temperature = _temperature(control[:-1], shifts)
        weights = _weights(control[-1], control[:-1], temperature)
    shift = weights @ shifts
    reconstruction = pca.inverse_transform(control[-1:])[0]
    own = _mean(train, held_out, CONTROL)
    return (own + reconstruction) / 2 + shift @ pca.components_


def _weights(point: np.ndarray, others: np.ndarray, temperature: float) -> np.ndarray:
    distances = ((others - point) ** 2).sum(1)
    gap = (distances - distances.min()) / distances.mean()
    weights = np.exp(-gap / temperature)
    return weights / weights.sum()


def _temperature(control: np.ndarray, shifts: np.ndarray) -> float:
    """Leave each type out."""

    def error(temperature: float) -> float:
        total = 0.0
        for i in range(len(shifts)):
            rest = np.arange(len(shifts)) != i
            predicted = _weights(control[i], control[rest], temperature) @ shifts[rest]
            total += ((shifts[i] - predicted) ** 2).sum()
        return total

    return float(min(TEMPERATURES, key=error))


def _mean(adata: ad.AnnData, cell_type: str | None, condition: str) -> np.ndarray:
    cells = (adata.obs[CONDITION] == condition).to_numpy()
    if cell_type is not None:
        cells = cells & (adata.obs[TYPE] == cell_type).to_numpy()
    matrix = adata.layers.get("lognorm", adata.X)
    return np.asarray(matrix[cells].mean(0)).ravel()


PEERS: dict[str, Peer] = {
    "identity": identity,
    "mean shift": mean_shift,
    "pca equal": pca_equal,
    "pca similarity": pca_similarity,
}
