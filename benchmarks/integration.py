"""Cells of several studies in one space: are the batches mixed, and the types still apart.

``python -m benchmarks.integration --data DIR`` runs what is not yet in the results file;
``python -m benchmarks.table`` makes the table from it.
"""

import argparse
import logging
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import anndata as ad
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from benchmarks.command import pick
from benchmarks.data import LABEL, clean, data_folder, prepare
from benchmarks.peers_integration import BATCH, METHODS
from benchmarks.store import Row, add_row, finished, provenance, versions_if_there
from mixvi.metrics import within_type_mixing

logger = logging.getLogger(__name__)

RESULTS = Path("benchmarks/results/integration.json")
KEYS = ("set", "method", "seed")
SET = "pbmc_multistudy"
SCIB = {
    "Total": "scib_total",
    "Bio conservation": "scib_bio",
    "Batch correction": "scib_batch",
}


def cells(folder: Path, seed: int, n_most: int) -> tuple[ad.AnnData, np.ndarray]:
    """Cells of the set with their batch as the only covariate, and which labels are known.

    Parameters
    ----------
    folder
        Where the data are.
    seed
        Chooses the cells, and the half of every type whose labels are given to methods that
        take some.
    n_most
        Cells used at most.
    """
    rng = np.random.default_rng(seed)
    adata = clean(ad.read_h5ad(folder / f"{SET}.h5ad"))
    adata = adata[adata.obs[LABEL].notna()]
    adata = adata[np.sort(rng.permutation(adata.n_obs)[:n_most])].copy()
    adata.obs = adata.obs[[LABEL, BATCH]]
    adata = prepare(adata)
    truth = adata.obs[LABEL].astype(str).to_numpy()
    known = np.zeros(adata.n_obs, dtype=bool)
    for name in np.unique(truth):
        own = rng.permutation(np.flatnonzero(truth == name))
        known[own[: len(own) // 2]] = True
    return adata, known


def scores(
    z: np.ndarray, clusters: np.ndarray | None, truth: np.ndarray, batch: np.ndarray, seed: int
) -> Row:
    """Mixing within types, ARI of the method's own clusters and of k-means on its embedding."""
    n_types = len(np.unique(truth))
    means = KMeans(n_types, n_init=10, random_state=seed).fit_predict(z)
    row: Row = {
        "mixing": within_type_mixing(z, batch, truth),
        "ari_kmeans": float(adjusted_rand_score(truth, means)),
        "n_cells": len(truth),
    }
    if clusters is not None:
        row["ari"] = float(adjusted_rand_score(truth, clusters))
        row["n_clusters"] = len(np.unique(clusters))
    return row


def scib(z: np.ndarray, truth: np.ndarray, batch: np.ndarray, unintegrated: np.ndarray) -> Row:
    """Scores of scib-metrics, not rescaled between methods; none where it is not installed."""
    if not versions_if_there(("scib-metrics",)):
        return {}
    from scib_metrics.benchmark import Benchmarker

    adata = ad.AnnData(
        np.zeros((len(z), 1), dtype=np.float32),
        obs={LABEL: truth, BATCH: batch},
        obsm={"z": np.asarray(z, dtype=np.float32), "pca": unintegrated.astype(np.float32)},
    )
    benchmark = Benchmarker(
        adata,
        batch_key=BATCH,
        label_key=LABEL,
        embedding_obsm_keys=["z"],
        pre_integrated_embedding_obsm_key="pca",
        progress_bar=False,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PCR comparison score is negative")  # a score of 0
        benchmark.benchmark()
    found = benchmark.get_results(min_max_scale=False).loc["z"]
    return {ours: float(found[theirs]) for theirs, ours in SCIB.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.integration", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of .h5ad files [../shared/data]")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 … n − 1 [%(default)s]")
    parser.add_argument("--methods", default="*", help="names or patterns, such as *_labels,pca")
    parser.add_argument("--max-cells", type=int, default=6_000, help="cells used [%(default)s]")
    parser.add_argument(
        "--time-limit", type=float, default=math.inf, metavar="MIN", help="begin nothing after that"
    )
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("mixvi").setLevel(logging.WARNING)
    deadline = perf_counter() + 60 * options.time_limit
    folder = data_folder(options.data)
    methods = pick(parser, "--methods", METHODS, options.methods)
    for seed in range(options.seeds):
        adata, known = cells(folder, seed, options.max_cells)
        hidden = ~known
        truth, batch = (adata.obs[c].astype(str).to_numpy()[hidden] for c in (LABEL, BATCH))
        for method in methods:
            done = finished(options.output, KEYS)
            if (SET, method, seed) in done or perf_counter() > deadline:
                continue
            start = perf_counter()
            found = METHODS[method](adata, known, seed)
            seconds = round(perf_counter() - start, 2)
            clusters = None if found.clusters is None else found.clusters[hidden]
            unintegrated = METHODS["pca"](adata, known, 0).z[hidden]
            row: Row = {
                "set": SET,
                "method": method,
                "seed": seed,
                **scores(found.z[hidden], clusters, truth, batch, seed),
                **scib(found.z[hidden], truth, batch, unintegrated),
                "seconds": seconds,
                "n_genes": adata.n_vars,
                "parameters": found.parameters,
                **provenance(),
            }
            add_row(options.output, row, KEYS)
            logger.info(
                "%s, seed %d: mixing %.3f, ARI %.3f, scib %.3f, %.0f s",
                method,
                seed,
                row["mixing"],
                row.get("ari", row["ari_kmeans"]),
                row.get("scib_total", math.nan),
                seconds,
            )


if __name__ == "__main__":
    main()
