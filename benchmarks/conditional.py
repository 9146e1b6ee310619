"""Does the style w carry the condition, and do the classes survive? On simulated cells.

``python -m benchmarks.conditional`` runs CGMDVAE with a fixed and with a learned prior of the
style given the condition; ``python -m benchmarks.table`` makes the table.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import anndata as ad
import numpy as np
import scvi
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from benchmarks.store import Row, add_row, finished, provenance

logger = logging.getLogger(__name__)

RESULTS = Path("benchmarks/results/conditional.json")
STYLE_PRIORS = ("standard", "learned")
KEYS = ("style_prior", "seed")


def separability(
    features: np.ndarray, condition: np.ndarray, classifier: ClassifierMixin, seed: int
) -> float:
    """Balanced accuracy of the condition from the features; .5 is chance for two conditions.

    Parameters
    ----------
    features
        ``(n_cells, n_features)``; standardized inside each fold.
    condition
        ``(n_cells,)``.
    classifier
        A linear one.
    seed
        Seed of the five stratified, shuffled folds.
    """
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    pipeline = make_pipeline(StandardScaler(), classifier)
    scores = cross_val_score(pipeline, features, condition, cv=folds, scoring="balanced_accuracy")
    return float(scores.mean())


def run(adata: ad.AnnData, style_prior: str, seed: int) -> Row:
    """Train one CGMDVAE on simulated cells and score its clusters, its style and its latent."""
    from mixvi.metrics import clustering_scores
    from mixvi.model import CGMDVAE

    scvi.settings.seed = seed
    start = perf_counter()
    CGMDVAE.setup_anndata(adata, condition_key="condition")
    model = CGMDVAE(adata, n_components=5, gene_likelihood="normal", style_prior=style_prior)
    model.train()
    clusters = np.asarray(model.predict())
    seconds = perf_counter() - start
    w, z = model.get_style_representation(), model.get_latent_representation()
    condition = adata.obs["condition"].astype(str).to_numpy()
    scores = clustering_scores(adata.obs["class"].astype(str).to_numpy(), clusters)
    logistic = LogisticRegression(max_iter=1000)
    return {
        "style_prior": style_prior,
        "seed": seed,
        **{key: float(value) for key, value in scores.items()},
        "w_logistic": separability(w, condition, logistic, seed),
        "w_svm": separability(w, condition, LinearSVC(random_state=seed), seed),
        "z_logistic": separability(z, condition, logistic, seed),
        "seconds": round(seconds, 2),
        **provenance(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    from mixvi.datasets import simulate_conditional

    parser = argparse.ArgumentParser(prog="python -m benchmarks.conditional", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 … n − 1 [%(default)s]")
    parser.add_argument("--redo", action="store_true", help="run rows that exist again")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for seed in range(options.seeds):
        for style_prior in STYLE_PRIORS:
            done = finished(options.output, KEYS)
            if (style_prior, seed) in done and not options.redo:
                continue
            # the data are drawn anew with each seed: the claim is about such data, not one draw
            row = run(simulate_conditional(rng=seed), style_prior, seed)
            add_row(options.output, row, KEYS)
            logger.info(
                "%s seed %d: ARI %.3f, w %.3f", style_prior, seed, row["ari"], row["w_logistic"]
            )


if __name__ == "__main__":
    main()
