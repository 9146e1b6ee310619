"""Time to quality: seconds from counts to clusters as good as those of SCVI and Leiden.

``python -m benchmarks.quality --data DIR`` runs what is not yet in the results file of the speed
benchmark; ``python -m benchmarks.table`` makes the table. SCVI trains as long as it does by default
and Leiden finds as many clusters as there are types. Ours is given an eighth, a quarter, half
and all of the epochs of its default recipe, each a run of its own from the start: the first whose
clusters are as good counts.
"""

import argparse
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time

import anndata as ad
import numpy as np
import torch

from benchmarks import cuts, peers
from benchmarks.data import LABEL, data_folder, labeled, load, n_classes
from benchmarks.sets import short
from benchmarks.speed import KEYS, MODELS, RESULTS
from benchmarks.store import Row, add_row, finished, provenance

logger = logging.getLogger(__name__)

SETS = ("pbmc3k", "scdcc_10x_pbmc4k", "zheng_pbmc_facs")
SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
WHAT = "quality"


def scvi_and_leiden(adata: ad.AnnData, seed: int) -> np.ndarray:
    """Clusters of SCVI's latent space at its default length."""
    graph = cuts.neighbor_graph(peers.scvi_latent(adata, seed).z, seed)
    clusters, _ = cuts.match_resolution(
        lambda resolution: cuts.leiden(graph, resolution, seed=seed), n_classes(adata)
    )
    return clusters


def ours(adata: ad.AnnData, seed: int, model_name: str, share: float) -> np.ndarray:
    """Clusters after a share of the default recipe's epochs."""
    from mixvi.train import default_epochs

    epochs = max(1, round(share * default_epochs(adata.n_obs, 128)))
    options = {"n_components": n_classes(adata)}
    model = peers.train(adata, seed, model_name, options, {"max_epochs": epochs})
    return np.asarray(model.predict())


def timed(adata: ad.AnnData, job: Callable[[], np.ndarray]) -> Row:
    """Seconds of a job that finds clusters, and how good these are."""
    from mixvi.metrics import clustering_scores

    mask = labeled(adata)
    wall, cpu = perf_counter(), process_time()
    clusters = np.asarray(job())
    seconds, cpu_seconds = perf_counter() - wall, process_time() - cpu
    truth = adata.obs[LABEL].astype(str).to_numpy()[mask]
    ari = float(clustering_scores(truth, clusters[mask])["ari"])
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "ari": ari}


def until_as_good(jobs: Sequence[tuple[float, Callable[[], Row]]], ari: float) -> Row:
    """The first job whose clusters are as good, or the last.

    Parameters
    ----------
    jobs
        Share of the default epochs, and what :func:`timed` finds with it; in the order in which
        they are tried.
    ari
        How good.
    """
    found: Row = {}
    for share, job in jobs:
        found = {**job(), "share": share}
        if found["ari"] >= ari:
            break
    return found | {"reached": bool(found["ari"] >= ari)}


def run_set(adata: ad.AnnData, setting: str, seed: int, output: Path) -> None:
    """SCVI and Leiden, then ours, on one set with one seed."""
    reference = timed(adata, lambda: scvi_and_leiden(adata, seed))
    rows = {"SCVI": reference | {"ratio": 1.0, "cpu_ratio": 1.0}}
    for name in MODELS:
        jobs = [
            (s, lambda s=s, name=name: timed(adata, lambda: ours(adata, seed, name, s)))
            for s in SHARES
        ]
        found = until_as_good(jobs, reference["ari"])
        found["ratio"] = reference["seconds"] / found["seconds"]
        found["cpu_ratio"] = reference["cpu_seconds"] / found["cpu_seconds"]
        rows[name] = found
    for name, found in rows.items():
        figures = {k: v if isinstance(v, bool) else round(v, 4) for k, v in found.items()}
        of_run = {"threads": torch.get_num_threads(), "on": "cpu", "source": setting}
        row = {"what": WHAT, "setting": setting, "method": name, **figures, **of_run}
        add_row(output, row | provenance(), KEYS)
        logger.info("%s %s: ARI %.3f in %.0f s", setting, name, found["ari"], found["seconds"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of .h5ad files [../shared/data]")
    parser.add_argument("--sets", default=",".join(SETS), help="comma-separated [%(default)s]")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0 … n − 1 [%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="of torch [%(default)s]")
    parser.add_argument(
        "--time-limit", type=float, default=math.inf, metavar="MIN", help="begin nothing after that"
    )
    parser.add_argument("--redo", action="store_true", help="measure again what is there")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    deadline = perf_counter() + 60 * options.time_limit
    folder = data_folder(options.data)
    cuts.warm_up()
    for seed in range(options.seeds):
        for name in options.sets.split(","):
            setting = f"{short(name)}, seed {seed}"
            done = {(WHAT, setting, m) for m in MODELS} <= finished(options.output, KEYS)
            if perf_counter() <= deadline and (options.redo or not done):
                run_set(load(folder, name), setting, seed, options.output)


if __name__ == "__main__":
    main()
