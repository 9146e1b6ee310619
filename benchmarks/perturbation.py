"""Stimulated profiles of cell types that were never seen stimulated (Kang, interferon β).

``python -m benchmarks.perturbation --data DIR`` leaves the stimulated cells of every type out in
turn, for several seeds; ``python -m benchmarks.table`` makes the table. No method is fitted to the
held-out cells; temperatures are chosen by leaving one of the *remaining* types out. The design of
CGMDVAE's log scale was settled with these scores in view, which the table says.
"""

import argparse
import fnmatch
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, perf_counter

import anndata as ad
import numpy as np
import scanpy as sc
import scvi
from scipy import sparse

from benchmarks.data import DEFAULT_DATA, clean, data_folder
from benchmarks.peers_perturbation import PEERS
from benchmarks.peers_scarches import scgen
from benchmarks.store import Row, add_row, provenance, read_rows

logger = logging.getLogger(__name__)

RESULTS = Path("benchmarks/results/perturbation.json")
KEYS = ("method", "held_out", "seed")
TYPE, CONDITION, CONTROL, STIMULATED = "cell_type", "condition", "control", "stimulated"
N_TOP = 100


@dataclass(frozen=True)
class Task:
    """One type without its stimulated cells.

    Attributes
    ----------
    train
        All other cells, counts in ``X`` and ``layers["lognorm"]``.
    held_out
        Name of the type.
    truth, control
        Mean log-normalized expression of its stimulated cells, which no method sees, and of its
        control cells.
    top
        Positions of the genes that respond most, from the held-out cells too: for scores only.
    """

    train: ad.AnnData
    held_out: str
    truth: np.ndarray
    control: np.ndarray
    top: np.ndarray


def load_kang(folder: Path) -> ad.AnnData:
    """Singlets with counts in ``X`` and log counts per 10,000 in ``layers["lognorm"]``."""
    adata = clean(ad.read_h5ad(folder / "kang_ifnb_scgen.h5ad"))
    adata.X = sparse.csr_matrix(adata.X, dtype=np.float32)
    adata.obs = adata.obs[[TYPE, CONDITION]].astype(str).astype("category")
    adata.layers["lognorm"] = adata.X.copy()
    sc.pp.normalize_total(adata, target_sum=1e4, layer="lognorm")
    sc.pp.log1p(adata, layer="lognorm")
    return adata


def make_task(adata: ad.AnnData, held_out: str) -> Task:
    """Leave the stimulated cells of a type out."""
    of_type = (adata.obs[TYPE] == held_out).to_numpy()
    stimulated = (adata.obs[CONDITION] == STIMULATED).to_numpy()
    own = ad.AnnData(adata.layers["lognorm"][of_type], obs=adata.obs[of_type], var=adata.var)
    sc.tl.rank_genes_groups(
        own, CONDITION, groups=[STIMULATED], reference=CONTROL, method="wilcoxon"
    )
    names = own.uns["rank_genes_groups"]["names"][STIMULATED][:N_TOP]
    means = [
        np.asarray(adata.layers["lognorm"][of_type & which].mean(0)).ravel()
        for which in (stimulated, ~stimulated)
    ]
    return Task(
        train=adata[~(of_type & stimulated)].copy(),
        held_out=held_out,
        truth=means[0],
        control=means[1],
        top=adata.var_names.get_indexer(names),
    )


def cgmdvae(condition_effect: str, routes: dict[str, dict], **options) -> Callable:
    """CGMDVAE with the cell types as labels, for one or several routes of a counterfactual."""

    def run(task: Task, seed: int) -> dict[str, np.ndarray]:
        from mixvi.model import CGMDVAE

        scvi.settings.seed = seed
        cells = task.train[:, np.asarray(task.train.X.sum(0)).ravel() > 0].copy()
        CGMDVAE.setup_anndata(cells, labels_key=TYPE, condition_key=CONDITION)
        model = CGMDVAE(cells, condition_effect=condition_effect, **options)
        model.train(enable_progress_bar=False)
        shown = cells[(cells.obs[TYPE] == task.held_out).to_numpy()]
        profiles = {}
        for name, route in routes.items():
            scvi.settings.seed = seed
            result = model.predict_counterfactual(
                shown, {CONDITION: STIMULATED}, scale="log", **route
            )
            profile = np.zeros(task.train.n_vars)
            profile[task.train.var_names.get_indexer(cells.var_names)] = result.X.mean(0)
            profiles[name] = profile
        return profiles

    return run


def peer(function: Callable) -> Callable:
    """A peer that gives one profile; it sees control cells and the other types."""

    def run(task: Task, seed: int) -> dict[str, np.ndarray]:
        return {"": function(task.train, task.held_out, seed)}

    return run


# one training, several rows: the names after the slash are the routes
METHODS: dict[str, Callable] = {
    **{name: peer(function) for name, function in PEERS.items()},
    "scgen": peer(scgen),
    "cgmdvae": cgmdvae(
        "latent", {"": {}, "/half anchor": {"anchor": 0.5}, "/anchor": {"anchor": 1.0}}
    ),
    "cgmdvae-decoder": cgmdvae("decoder", {"": {}, "/flip": {"route": "decoder"}}),
    "cgmdvae-full": cgmdvae(
        "decoder", {"/prior": {"route": "prior"}}, conditioning="full", style_prior="learned"
    ),
}
DETERMINISTIC = ("identity", "mean shift", "pca equal", "pca similarity")


def score(task: Task, profile: np.ndarray) -> dict[str, float]:
    """Scores of a predicted profile."""
    from mixvi.metrics import perturbation_scores

    return perturbation_scores(profile, task.truth, task.control, task.top)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perturbation", description=__doc__)
    parser.add_argument("--data", type=Path, help=f"folder of .h5ad files [{DEFAULT_DATA}]")
    parser.add_argument("--methods", default="*", help="patterns with commas [%(default)s]")
    parser.add_argument("--types", default="*", help="patterns of held-out types [%(default)s]")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 … n − 1 [%(default)s]")
    parser.add_argument("--redo", action="store_true", help="run rows that exist again")
    parser.add_argument("--time-limit", type=float, default=float("inf"), help="minutes")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    end = monotonic() + 60 * options.time_limit
    adata = load_kang(data_folder(options.data))
    methods = [m for m in METHODS if _matches(m, options.methods)]
    types = [t for t in adata.obs[TYPE].cat.categories if _matches(t, options.types)]
    tasks = {held_out: make_task(adata, held_out) for held_out in types}
    for seed in range(options.seeds):
        for name in methods:
            for held_out, task in tasks.items():
                if (seed and name in DETERMINISTIC) or monotonic() > end:
                    continue
                done = {
                    (row["method"].split("/")[0], row["held_out"], row["seed"])
                    for row in read_rows(options.output)
                }
                if (name, held_out, seed) in done and not options.redo:
                    continue
                _run(name, task, seed, options.output)


def _matches(name: str, patterns: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns.split(","))


def _run(name: str, task: Task, seed: int, output: Path) -> None:
    start = perf_counter()
    profiles = METHODS[name](task, seed)
    seconds = round(perf_counter() - start, 2)
    for route, profile in profiles.items():
        row: Row = {"method": name + route, "held_out": task.held_out, "seed": seed}
        row |= score(task, profile) | {"seconds": seconds} | provenance()
        add_row(output, row, KEYS)
        shown = f"{row['r2_pearson']:.3f} {row['r2_pearson_top']:.3f} {row['delta_r2']:.3f}"
        logger.info("%s %s seed %d: %s", row["method"], task.held_out, seed, shown)


if __name__ == "__main__":
    main()
