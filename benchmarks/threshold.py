"""At which cost does merging stop? On simulated cells and the embedded PBMC, and nothing else.

``python -m benchmarks.threshold`` trains both models with 30 components and cuts their merge trees
at every threshold; ``python -m benchmarks.table`` makes the table. The default threshold is chosen
here, so that no labels of the clustering benchmark have a part in it.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import anndata as ad
import numpy as np
import scvi

from benchmarks.command import pick
from benchmarks.store import Row, add_row, finished, provenance

logger = logging.getLogger(__name__)

RESULTS = Path("benchmarks/results/threshold.json")
KEYS = ("cells", "model", "seed")
MODELS = ("CGMDVAE", "RMVE")
THRESHOLDS = (0.08, 0.1, 0.12, 0.14, 0.15, 0.16, 0.17, 0.18, 0.2, 0.22, 0.25)
# few large clusters to many of which some are rare, easy and hard, in one batch and in three
SIMULATED = {
    "6 clusters": {"n_components": 6, "separation": 4, "depth": 1_500},
    "10 clusters": {"n_components": 10, "separation": 4, "depth": 2_000, "imbalance": 4},
    "14 clusters": {"n_components": 14, "separation": 3.5, "depth": 3_000, "imbalance": 8},
    "4 clusters, close": {"n_components": 4, "separation": 3, "depth": 1_000},
    "8 clusters, 3 batches": {
        "n_components": 8,
        "separation": 3.5,
        "depth": 2_000,
        "imbalance": 4,
        "n_batches": 3,
        "batch_effect": 0.5,
    },
}
CELLS = ("PBMC", *SIMULATED)


def make(name: str, seed: int) -> tuple[ad.AnnData, np.ndarray]:
    """Cells, and what they are."""
    from mixvi import datasets

    if name == "PBMC":
        adata = datasets.pbmc()
        return adata, adata.obs["cell_type"].astype(str).to_numpy()
    adata = datasets.simulate(2_500, 500, rng=seed, **SIMULATED[name])
    return adata, adata.obs["component"].astype(str).to_numpy()


def run(name: str, model_name: str, seed: int) -> Row:
    """Train one model, and score the cuts of its tree."""
    import mixvi.model
    from mixvi.metrics import adjusted_rand_index

    adata, truth = make(name, seed)
    start = perf_counter()
    scvi.settings.seed = seed
    model_class = getattr(mixvi.model, model_name)
    batches = "batch" in adata.obs and adata.obs["batch"].nunique() > 1
    model_class.setup_anndata(adata, batch_key="batch" if batches else None)
    model = model_class(adata)
    model.train(enable_progress_bar=False)
    ari, n_clusters = [], []
    for threshold in THRESHOLDS:
        model.merge_components(threshold=threshold)
        clusters = np.asarray(model.predict())
        ari.append(adjusted_rand_index(truth, clusters))
        n_clusters.append(len(np.unique(clusters)))
    return {
        "cells": name,
        "model": model_name,
        "seed": seed,
        "threshold": list(THRESHOLDS),
        "ari": ari,
        "n_clusters": n_clusters,
        "n_types": len(np.unique(truth)),
        "seconds": round(perf_counter() - start, 2),
        **provenance(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threshold", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="seeds 0 … n − 1 [%(default)s]")
    parser.add_argument("--cells", default="*", help=f"names or patterns of {', '.join(CELLS)}")
    parser.add_argument("--models", default="*", help=f"names or patterns of {', '.join(MODELS)}")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("mixvi").setLevel(logging.WARNING)
    cells = pick(parser, "--cells", CELLS, options.cells)
    models = pick(parser, "--models", MODELS, options.models)
    for seed in range(options.seeds):
        for name in cells:
            for model in models:
                if (name, model, seed) in finished(options.output, KEYS):
                    continue
                row = run(name, model, seed)
                add_row(options.output, row, KEYS)
                best = THRESHOLDS[int(np.argmax(row["ari"]))]
                logger.info("%s %s seed %d: best at %g", name, model, seed, best)


if __name__ == "__main__":
    main()
