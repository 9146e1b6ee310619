"""What the Dirichlet of CGMDVAE, the repulsion of RMVE and the size of the steps do, K given.

``python -m benchmarks.ablation --data DIR`` runs what is not yet in the results file, with
``--settings '*lr=*' --sets …`` only some of it; ``python -m benchmarks.table`` makes the tables.
"""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path
from time import perf_counter
from typing import Any

import anndata as ad
import numpy as np

from benchmarks import peers
from benchmarks.command import pick
from benchmarks.data import LABEL, data_folder, labeled, load, n_classes
from benchmarks.store import Row, add_row, finished, provenance

logger = logging.getLogger(__name__)

SETS = ("zheng_pbmc_facs", "pbmc3k", "scdcc_mouse_bladder")
RESULTS = Path("benchmarks/results/ablation.json")
KEYS = ("set", "setting", "seed")
STRENGTHS = (0.1, 1.0, 10.0)
BATCH_SIZES = (128, 512, 1024)
RATES = (1e-3, 4e-3)
# model → (what is varied, its values, the number that says how strong it is)
VARIED = {
    "CGMDVAE": ("dirichlet", ("collapsed", "network", "global"), "alpha"),
    "RMVE": ("repulsion", ("mmd", "means", "hellinger", "dpp"), "repulsion_strength"),
}


@dataclass(frozen=True)
class Setting:
    """A model, its options, and those of its training."""

    model: str
    options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


def settings() -> dict[str, Setting]:
    """All settings by name; without the thing varied first."""
    found: dict[str, Setting] = {}
    for model, (option, values, strength) in VARIED.items():
        found[f"{model} {option}=None"] = Setting(model, {option: None})
        for value in values:
            for s in STRENGTHS:
                name = f"{model} {option}={value} {strength}={s:g}"
                found[name] = Setting(model, {option: value, strength: s})
    for model, size, lr in product(VARIED, BATCH_SIZES, RATES):
        training = {"batch_size": size, "plan_kwargs": {"lr": lr}}
        found[f"{model} batch_size={size} lr={lr:g}"] = Setting(model, training=training)
    return found


def separation(means: np.ndarray, scales: np.ndarray) -> float | None:
    r"""Smallest distance of two components in units of their spread, ``None`` for less than two.

    .. math:: \min_{k<l} \|(\mu_k - \mu_l) / \sqrt{(\sigma_k^2 + \sigma_l^2)/2}\|

    Parameters
    ----------
    means, scales
        ``(n_components, n_latent)``.
    """
    distances = [
        np.linalg.norm((means[k] - means[l]) / np.sqrt((scales[k] ** 2 + scales[l] ** 2) / 2))
        for k, l in combinations(range(len(means)), 2)  # noqa: E741
    ]
    return float(min(distances)) if distances else None


def run(adata: ad.AnnData, name: str, setting: str, seed: int) -> Row:
    """Train one model and score its clusters; components are used if a cell is in them."""
    from mixvi.metrics import adjusted_rand_index

    chosen = settings()[setting]
    start = perf_counter()
    options = {"n_components": n_classes(adata), **chosen.options}
    model = peers.train(adata, seed, chosen.model, options, chosen.training)
    clusters = np.asarray(model.predict())
    seconds = perf_counter() - start
    mask = labeled(adata)
    components = model.get_components()
    used = components.means.index.isin(clusters)
    return {
        "set": name,
        "setting": setting,
        "seed": seed,
        "k": n_classes(adata),
        "ari": adjusted_rand_index(adata.obs[LABEL].astype(str).to_numpy()[mask], clusters[mask]),
        "n_used": int(used.sum()),
        "separation": separation(
            components.means.to_numpy()[used], components.scales.to_numpy()[used]
        ),
        "seconds": round(seconds, 2),
        **provenance(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of .h5ad files [../shared/data]")
    parser.add_argument("--sets", default=",".join(SETS), help="comma-separated [%(default)s]")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 … n − 1 [%(default)s]")
    parser.add_argument("--settings", default="*", help="patterns, such as 'CGMDVAE*,*=mmd*'")
    parser.add_argument("--redo", action="store_true", help="run rows that exist again")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    folder = data_folder(options.data)
    asked = pick(parser, "--settings", settings(), options.settings)
    for seed in range(options.seeds):
        for name in options.sets.split(","):
            done = finished(options.output, KEYS)
            todo = [s for s in asked if (name, s, seed) not in done or options.redo]
            adata = load(folder, name) if todo else None
            for setting in todo:
                row = run(adata, name, setting, seed)
                add_row(options.output, row, KEYS)
                logger.info(
                    "%s, %s, seed %d: ARI %.3f, %d components in %.0f s",
                    *(name, setting, seed, row["ari"], row["n_used"], row["seconds"]),
                )


if __name__ == "__main__":
    main()
