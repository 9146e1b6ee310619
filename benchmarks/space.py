"""Cells to their physical place: one read-out, from the latent spaces of mixvi and its peers.

``python -m benchmarks.space --data DIR`` runs what is not yet in the results file;
``python -m benchmarks.table`` makes the table from it.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.command import pick
from benchmarks.data import data_folder
from benchmarks.space_sets import SETS, Placed, load_placed
from benchmarks.store import Row, add_row, finished, provenance

logger = logging.getLogger(__name__)

RESULTS = Path("benchmarks/results/space.json")
KEYS = ("set", "method", "left_out", "seed")
LEARNED = {"rmve": "RMVE", "cgmdvae": "CGMDVAE", "scvi": "SCVI"}
METHODS = (*LEARNED, "pca", "genes", "mean")
LEFT_OUT = ("groups", "cells")
N_PERMUTATIONS = 200
N_FOLDS = 5


def embed(placed: Placed, method: str, seed: int) -> np.ndarray:
    """What the read-out sees ``(n_cells, n_features)``; of no model the places are known."""
    adata, likelihood = placed.adata, placed.likelihood
    if method == "scvi":
        return peers.scvi_latent(adata, seed, likelihood=likelihood).z
    if method in LEARNED:
        options = {"n_components": "auto", "gene_likelihood": likelihood}
        return peers.train(adata, seed, LEARNED[method], options).get_latent_representation()
    if method == "pca":
        return peers.pca(adata, seed, scaled=False).z
    if method == "genes":
        # ridge does not change when the axes are turned: at most as many axes as cells
        x = adata.layers["lognorm"].toarray().astype(np.float64)
        u, s, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
        return u * s
    return np.zeros((adata.n_obs, 1))


def stored_embedding(
    placed: Placed, name: str, method: str, seed: int, folder: Path | None
) -> np.ndarray:
    """Embedding from ``folder``, where there is one; computed and kept there otherwise."""
    if folder is None or method not in LEARNED:
        return embed(placed, method, seed)
    path = folder / f"{name}-{method}-{seed}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        np.save(path, embed(placed, method, seed))
    return np.load(path)


def groups_of(placed: Placed, left_out: str, seed: int) -> np.ndarray:
    """What is left out together: zones or ten blocks of the tissue, or cells at random."""
    from mixvi.space import spatial_blocks

    if left_out == "cells":
        n = placed.adata.n_obs
        return np.random.default_rng(seed).permutation(np.arange(n) % N_FOLDS)
    return spatial_blocks(placed.places) if placed.zones is None else placed.zones


def coverage(z: np.ndarray, places: np.ndarray, groups: np.ndarray) -> float:
    """Share of coordinates within 1.96 standard errors, each group unseen by fit and error bar."""
    from mixvi.space import fit_places

    shares = []
    for group in np.unique(groups):
        inside = groups == group
        readout = fit_places(z[~inside], places[~inside], groups[~inside]).readout
        found, sd = readout.predict(z[inside])
        shares.append((np.abs(found - places[inside]) <= 1.96 * sd).mean())
    return float(np.mean(shares))


def scores(placed: Placed, predicted: np.ndarray) -> dict[str, float]:
    """Errors of the places; of zones, and along the axis, where there are any."""
    from mixvi.metrics import place_scores, zone_scores

    found = place_scores(placed.places, predicted)
    if placed.zones is not None:
        found |= zone_scores(placed.places[:, 0], predicted[:, 0])
    if placed.axis is not None:
        depth = place_scores(placed.places @ placed.axis, predicted @ placed.axis)
        found |= {"depth_error": depth["median_distance"], "depth_spearman": depth["spearman"]}
    return found


def run(placed: Placed, z: np.ndarray, method: str, left_out: str, seed: int) -> Row:
    """Fit the read-out without each group and score it on that group."""
    from mixvi.space import fit_places, permutation_null

    groups = groups_of(placed, left_out, seed)
    start = perf_counter()
    fit = fit_places(z, placed.places, groups)
    row: dict[str, Any] = {**scores(placed, fit.predicted), "penalty": fit.penalty}
    if left_out == "groups" and method != "mean":
        null = permutation_null(
            z, placed.places, groups, how="groups", n_permutations=N_PERMUTATIONS, rng=seed
        )
        row |= {
            "p_value": null.p_value,
            "null_median": float(np.median(null.null)),
            "null_best": float(null.null.max()),
        }
    if len(np.unique(groups)) > 3 and method not in ("genes", "mean"):
        row["coverage"] = coverage(z, placed.places, groups)
    row["seconds"] = round(perf_counter() - start, 2)
    return {key: None if isinstance(v, float) and np.isnan(v) else v for key, v in row.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.space", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of .h5ad files [../shared/data]")
    parser.add_argument("--sets", default=",".join(SETS), help="comma-separated [%(default)s]")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 … n − 1 [%(default)s]")
    parser.add_argument("--methods", default="*", help="names or patterns, such as pca,rmve")
    parser.add_argument("--embeddings", type=Path, help="folder to keep the learned ones in")
    parser.add_argument("--redo", action="store_true", help="run rows that exist again")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    folder = data_folder(options.data)
    methods = pick(parser, "--methods", METHODS, options.methods)
    for seed in range(options.seeds):
        for name in options.sets.split(","):
            placed = load_placed(folder, name)
            for method in methods:
                # what is not learned does not depend on a seed, but for the random cells
                asked = LEFT_OUT if method in LEARNED or seed == 0 else LEFT_OUT[1:]
                done = finished(options.output, KEYS)
                todo = [h for h in asked if (name, method, h, seed) not in done or options.redo]
                if not todo:
                    continue
                z = stored_embedding(placed, name, method, seed, options.embeddings)
                for left_out in todo:
                    row: Row = {
                        "set": name,
                        "method": method,
                        "left_out": left_out,
                        "seed": seed,
                        "unit": placed.unit,
                        "n_features": z.shape[1],
                        **run(placed, z, method, left_out, seed),
                        **provenance(),
                    }
                    add_row(options.output, row, KEYS)
                    logger.info(
                        "%s %s, %s left out, seed %d: median error %.3g, R² %.3f",
                        *(name, method, left_out, seed, row["median_distance"], row["r2"]),
                    )


if __name__ == "__main__":
    main()
