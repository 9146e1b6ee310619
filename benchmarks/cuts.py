"""From an embedding to clusters: k-means, a Gaussian mixture, Leiden with and without K."""

from collections.abc import Callable

import anndata as ad
import numpy as np
import scanpy as sc
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

GMM = {"covariance_type": "full", "reg_covar": 1e-3, "n_init": 10}


def kmeans(z: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
    """k-means with ten starts. ``z`` is ``(n_cells, n_latent)``, the result ``(n_cells,)``."""
    return KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(z)


def gmm(z: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
    """Gaussian mixture, each component with its full covariance; ten starts from k-means."""
    model = GaussianMixture(n_clusters, **GMM, max_iter=200, random_state=seed)
    return model.fit_predict(z)


def neighbor_graph(z: np.ndarray, seed: int) -> ad.AnnData:
    """Graph of 15 nearest neighbors of ``z`` (scanpy's), in an AnnData without genes."""
    graph = ad.AnnData(obs={"cell": np.arange(len(z)).astype(str)}, obsm={"z": z})
    sc.pp.neighbors(graph, n_neighbors=15, use_rep="z", random_state=seed)
    return graph


def warm_up() -> None:
    """Compile what :func:`neighbor_graph` and :func:`leiden` compile on their first call.

    Otherwise the first method that is timed pays for it.
    """
    points = np.random.default_rng(0).normal(size=(200, 50))
    leiden(neighbor_graph(points, 0), 1.0, 0)


def leiden(graph: ad.AnnData, resolution: float, seed: int) -> np.ndarray:
    """Leiden clusters (igraph flavor, two iterations, undirected) as integers ``(n_cells,)``."""
    sc.tl.leiden(
        graph,
        resolution=resolution,
        random_state=seed,
        flavor="igraph",
        n_iterations=2,
        directed=False,
    )
    return graph.obs["leiden"].to_numpy().astype(int)


def match_resolution(
    cluster: Callable[[float], np.ndarray],
    n_clusters: int,
    low: float = 0.01,
    high: float = 10.0,
    max_steps: int = 20,
) -> tuple[np.ndarray, float]:
    """Find a resolution that gives ``n_clusters`` clusters, by bisection on a log scale.

    The number of clusters grows with the resolution only roughly, so the exact number may be
    passed over. Then the nearest one seen is kept, the first of them if several are.

    Parameters
    ----------
    cluster
        Resolution → clusters ``(n_cells,)``.
    n_clusters
        The number wanted.
    low, high
        Range of resolutions searched.
    max_steps
        Clusterings tried at most.

    Returns
    -------
    clusters, resolution
        Of the nearest number seen.
    """
    best: tuple[int, np.ndarray, float] | None = None
    for _ in range(max_steps):
        resolution = float(np.sqrt(low * high))
        clusters = cluster(resolution)
        found = len(np.unique(clusters))
        if best is None or abs(found - n_clusters) < best[0]:
            best = abs(found - n_clusters), clusters, resolution
        if found == n_clusters:
            break
        if found < n_clusters:
            low = resolution
        else:
            high = resolution
    if best is None:
        raise ValueError(f"expected max_steps ≥ 1, found {max_steps}; allow at least one step")
    return best[1], best[2]
