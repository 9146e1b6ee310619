"""Clustering of cells by mixvi and its peers, on the same genes and cells, in the same run.

``python -m benchmarks.clustering --data DIR`` runs what is not yet in the results file;
``python -m benchmarks.table`` makes the table from it.
"""

import argparse
import logging
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import anndata as ad
import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks import cuts, peers
from benchmarks.command import pick
from benchmarks.data import LABEL, data_folder, labeled, load, n_classes
from benchmarks.peers_clustpy import clustpy
from benchmarks.sets import SHORT
from benchmarks.store import Row, add_row, finished, provenance

logger = logging.getLogger(__name__)

RESULTS = Path("benchmarks/results/clustering.json")
KEYS = ("set", "method", "seed")
CUTS = ("kmeans", "leiden_matched", "leiden_0.5", "leiden_1")
K_GIVEN = ("kmeans", "gmm", "leiden_matched")
OURS = {"cgmdvae": "CGMDVAE", "rmve": "RMVE"}
CLUSTPY = {"vade": "VaDE", "idec": "IDEC"}


def method_name(embedding: str, cut: str) -> str:
    """Name in the tables: ``pca_kmeans``, ``scvi_leiden_1``; ``cgmdvae`` for its own clusters."""
    return embedding if cut == "own" else f"{embedding}_{cut}"


def methods(scvi_epochs: int | None = None) -> dict[str, tuple[str, str]]:
    """All methods, name → (embedding, cut)."""
    scvi_name = "scvi" if scvi_epochs is None else f"scvi{scvi_epochs}"
    pairs = [(e, c) for e in ("pca", "pca_scaled", scvi_name, "drvi", *OURS) for c in CUTS]
    pairs.append(("pca", "gmm"))
    pairs += [(e, "own") for e in (*CLUSTPY, *OURS, *(f"{e}_auto" for e in OURS))]
    return {method_name(e, c): (e, c) for e, c in pairs}


def k_given(embedding: str, cut: str) -> bool:
    """Whether a method was told the number of classes, in training or when it was cut."""
    return cut in K_GIVEN or embedding in (*CLUSTPY, *OURS)


def embed(adata: ad.AnnData, name: str, seed: int, scvi_epochs: int | None) -> peers.Embedding:
    """Compute the embedding that is called ``name``."""
    if name in CLUSTPY:
        return clustpy(adata, seed, CLUSTPY[name], n_classes(adata))
    if (ours := name.removesuffix("_auto")) in OURS:
        n_components = n_classes(adata) if name == ours else "auto"
        return peers.mixvi(adata, seed, OURS[ours], n_components)
    if name.startswith("scvi"):
        return peers.scvi_latent(adata, seed, scvi_epochs)
    if name == "drvi":
        return peers.drvi(adata, seed)
    return peers.pca(adata, seed, scaled=name == "pca_scaled")


def cut(
    embedding: peers.Embedding, how: str, n_clusters: int, seed: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Cut an embedding into clusters ``(n_cells,)``; the settings of the cut come with them.

    Parameters
    ----------
    embedding
        What to cut.
    how
        ``"own"``, ``"kmeans"``, ``"gmm"``, ``"leiden_matched"`` or ``"leiden_<resolution>"``.
    n_clusters
        The true number; Leiden at a fixed resolution does not look at it.
    seed
        Seed of k-means, of the mixture, of the neighbor search and of Leiden.
    """
    if how == "own":
        if embedding.clusters is None:
            raise ValueError("expected a method with clusters of its own; choose another cut")
        return embedding.clusters, {}
    if how == "kmeans":
        return cuts.kmeans(embedding.z, n_clusters, seed), {}
    if how == "gmm":
        return cuts.gmm(embedding.z, n_clusters, seed), cuts.GMM
    at = partial(cuts.leiden, cuts.neighbor_graph(embedding.z, seed), seed=seed)
    if how == "leiden_matched":
        clusters, resolution = cuts.match_resolution(at, n_clusters)
    else:
        resolution = float(how.removeprefix("leiden_"))
        clusters = at(resolution)
    return clusters, {"resolution": resolution}


def correct(truth: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Whether each cell is in the cluster that its class is matched to (Hungarian), ``(n_cells,)``.

    Cells of clusters that are left without a class are all wrong.
    """
    from mixvi.metrics import contingency

    table = contingency(truth, clusters)
    row, column = linear_sum_assignment(table.to_numpy(), maximize=True)
    matched = {str(table.index[r]): str(table.columns[c]) for r, c in zip(row, column, strict=True)}
    return np.array([matched.get(str(k)) == str(t) for k, t in zip(clusters, truth, strict=True)])


def mixture_scores(embedding: peers.Embedding, truth: np.ndarray, mask: np.ndarray) -> Row:
    """Number of components, and the calibration of the confidence on the labeled cells."""
    from mixvi.metrics import expected_calibration_error

    if embedding.clusters is None or embedding.confidence is None:
        return {}
    right = correct(truth, embedding.clusters[mask])
    # rounding may leave a probability of one a little above it
    confidence = np.clip(embedding.confidence[mask], 0, 1)
    return {
        "ece": expected_calibration_error(confidence, right),
        "n_components": embedding.n_components,
    }


def run_set(
    adata: ad.AnnData,
    name: str,
    seed: int,
    chosen: dict[str, tuple[str, str]],
    output: Path,
    *,
    scvi_epochs: int | None = None,
    deadline: float = math.inf,
) -> None:
    """Run the chosen methods on one set with one seed, and store each row when it is known.

    An embedding is computed once for all its cuts; its time counts in the row of each. None is
    begun after ``deadline``, a value of :func:`time.perf_counter`.
    """
    from mixvi.metrics import clustering_scores

    mask, k = labeled(adata), n_classes(adata)
    truth = adata.obs[LABEL].astype(str).to_numpy()[mask]
    embeddings: dict[str, tuple[peers.Embedding, float]] = {}
    for method, (source, how) in chosen.items():
        if source not in embeddings:
            start = perf_counter()
            if start > deadline:
                continue
            found = embed(adata, source, seed, scvi_epochs)
            embeddings[source] = found, perf_counter() - start
        embedding, seconds = embeddings[source]
        start = perf_counter()
        clusters, settings = cut(embedding, how, k, seed)
        seconds += perf_counter() - start
        scores = clustering_scores(truth, np.asarray(clusters)[mask])
        row: Row = {
            "set": name,
            "method": method,
            "seed": seed,
            "k_given": k_given(source, how),
            "k": k,
            **{key: float(value) for key, value in scores.items()},
            **(mixture_scores(embedding, truth, mask) if how == "own" else {}),
            "seconds": round(seconds, 2),
            "n_cells": adata.n_obs,
            "n_labeled": int(mask.sum()),
            "n_genes": adata.n_vars,
            "parameters": {**embedding.parameters, "cut": how, **settings},
            **provenance(),
        }
        add_row(output, row, KEYS)
        logger.info("%s %s seed %d: ARI %.3f in %.0f s", name, method, seed, row["ari"], seconds)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clustering", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of .h5ad files [../shared/data]")
    parser.add_argument("--sets", default=",".join(SHORT), help="comma-separated [%(default)s]")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 … n − 1 [%(default)s]")
    parser.add_argument("--methods", default="*", help="names or patterns, such as pca*,cgmdvae")
    parser.add_argument("--scvi-epochs", type=int, help="own budget; the methods become scvi<N>_…")
    parser.add_argument(
        "--time-limit", type=float, default=math.inf, metavar="MIN", help="begin nothing after that"
    )
    parser.add_argument("--redo", action="store_true", help="run rows that exist again")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    deadline = perf_counter() + 60 * options.time_limit
    folder = data_folder(options.data)
    known = methods(options.scvi_epochs)
    asked = {name: known[name] for name in pick(parser, "--methods", known, options.methods)}
    cuts.warm_up()
    # seeds outside, so that a run that is cut short has every set
    for seed in range(options.seeds):
        for name in options.sets.split(","):
            done = finished(options.output, KEYS)
            todo = {m: v for m, v in asked.items() if (name, m, seed) not in done or options.redo}
            if todo and perf_counter() <= deadline:
                run_set(
                    load(folder, name),
                    name,
                    seed,
                    todo,
                    options.output,
                    scvi_epochs=options.scvi_epochs,
                    deadline=deadline,
                )


if __name__ == "__main__":
    main()
