"""Labels of cells: all known and new cells to name, or a few known for every type.

``python -m benchmarks.labels --data DIR`` runs what is not yet in the results file;
``python -m benchmarks.table`` makes the table from it.
"""

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import anndata as ad
import numpy as np
import scanpy as sc
import scvi
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier

from benchmarks import peers
from benchmarks.data import LABEL, covariates, data_folder, labeled, load
from benchmarks.store import Row, add_row, finished, provenance

logger = logging.getLogger(__name__)

RESULTS = Path("benchmarks/results/labels.json")
KEYS = ("set", "n_each", "method", "seed")
SETS = ("kang_ifnb_scgen", "zheng_pbmc_facs", "pbmc3k")
N_EACH = ("all", "20", "6", "3", "1")
UNKNOWN = "unknown"
HELD_OUT = 5  # one cell in so many, where all others have their label


def known_cells(truth: np.ndarray, n_each: str, seed: int) -> np.ndarray:
    """Mask of the cells with a label: all but a fifth of every type, or some of every type.

    Of a type with fewer than twice ``n_each`` cells half are known.
    """
    rng, known = np.random.default_rng(seed), np.zeros(len(truth), dtype=bool)
    for name in np.unique(truth):
        own = rng.permutation(np.flatnonzero(truth == name))
        n = len(own) - len(own) // HELD_OUT if n_each == "all" else min(int(n_each), len(own) // 2)
        known[own[:n]] = True
    return known


def with_labels(adata: ad.AnnData, known: np.ndarray) -> ad.AnnData:
    """Cells as models take them: counts, and ``obs["label"]`` where it is known."""
    cells = peers.counts(adata)
    cells.obs["label"] = np.where(known, adata.obs[LABEL].astype(str), UNKNOWN)
    return cells


def mixvi(model_name: str, **options) -> Callable[[ad.AnnData, np.ndarray, int], np.ndarray]:
    """One of mixvi's models. Held-out cells of "all" are not seen in training."""

    def run(adata: ad.AnnData, known: np.ndarray, seed: int) -> np.ndarray:
        import mixvi.model

        scvi.settings.seed = seed
        cells = with_labels(adata, known)
        few = known.mean() < 0.5
        seen = cells if few else cells[known].copy()
        cls = getattr(mixvi.model, model_name)
        unlabeled = {"unlabeled_category": UNKNOWN} if few else {}
        cls.setup_anndata(seen, labels_key="label", **unlabeled, **covariates(seen))
        model = cls(seen, **options)
        model.train(enable_progress_bar=False)
        return np.asarray(model.predict(cells[~known].copy()))

    return run


def train_scanvi(adata: ad.AnnData, known: np.ndarray, seed: int) -> scvi.model.SCANVI:
    """SCANVI from SCVI, both with their default architecture; cells without a label are seen."""
    scvi.settings.seed = seed
    cells = with_labels(adata, known)
    keys = peers.as_scvi_keys(cells)
    scvi.model.SCVI.setup_anndata(cells, labels_key="label", **keys)
    base = scvi.model.SCVI(cells, gene_likelihood="nb")
    base.train(max_epochs=100, plan_kwargs={"n_epochs_kl_warmup": 50}, enable_progress_bar=False)
    model = scvi.model.SCANVI.from_scvi_model(base, unlabeled_category=UNKNOWN, labels_key="label")
    model.train(max_epochs=25, enable_progress_bar=False)
    return model


def scanvi(adata: ad.AnnData, known: np.ndarray, seed: int) -> np.ndarray:
    """SCANVI's labels of the cells that it saw without one."""
    model = train_scanvi(adata, known, seed)
    return np.asarray(model.predict(indices=np.flatnonzero(~known)))


def _pca(adata: ad.AnnData, seed: int) -> np.ndarray:
    z = sc.pp.pca(adata.layers["lognorm"], n_comps=50, random_state=seed)
    return z / z[:, 0].std()


def logistic(adata: ad.AnnData, known: np.ndarray, seed: int) -> np.ndarray:
    """Logistic regression on log-normalized counts, its strength by cross-validation."""
    truth = adata.obs[LABEL].astype(str).to_numpy()
    x = adata.layers["lognorm"]
    folds = min(3, int(np.unique(truth[known], return_counts=True)[1].min()))
    if folds < 2:
        model = LogisticRegression(max_iter=500)
    else:
        model = LogisticRegressionCV(Cs=[0.01, 0.1, 1.0], cv=folds, max_iter=200)
    return model.fit(x[known], truth[known]).predict(x[~known])


def pca_logistic(adata: ad.AnnData, known: np.ndarray, seed: int) -> np.ndarray:
    """Logistic regression on 50 principal components."""
    truth, z = adata.obs[LABEL].astype(str).to_numpy(), _pca(adata, seed)
    return LogisticRegression(max_iter=2000).fit(z[known], truth[known]).predict(z[~known])


def pca_knn(adata: ad.AnnData, known: np.ndarray, seed: int) -> np.ndarray:
    """Nearest neighbors on 50 principal components: 15, or as many as the rarest label has."""
    truth, z = adata.obs[LABEL].astype(str).to_numpy(), _pca(adata, seed)
    k = min(15, int(np.unique(truth[known], return_counts=True)[1].min()))
    return KNeighborsClassifier(k).fit(z[known], truth[known]).predict(z[~known])


METHODS: dict[str, Callable[[ad.AnnData, np.ndarray, int], np.ndarray]] = {
    "pca_knn": pca_knn,
    "pca_logistic": pca_logistic,
    "logistic": logistic,
    "cgmdvae": mixvi("CGMDVAE"),
    "rmve": mixvi("RMVE"),
    "scanvi": scanvi,
}


def score(truth: np.ndarray, predicted: np.ndarray) -> Row:
    """Accuracy and macro-F1; a cell that is called new is wrong, and counted."""
    return {
        "accuracy": float((predicted == truth).mean()),
        "macro_f1": float(f1_score(truth, predicted, labels=np.unique(truth), average="macro")),
        "new": float((~np.isin(predicted, np.unique(truth))).mean()),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labels", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of .h5ad files [../shared/data]")
    parser.add_argument("--sets", default=",".join(SETS), help="comma-separated [%(default)s]")
    parser.add_argument("--labels", default=",".join(N_EACH), help="per type [%(default)s]")
    parser.add_argument("--methods", default=",".join(METHODS), help="[%(default)s]")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 … n − 1 [%(default)s]")
    parser.add_argument("--redo", action="store_true", help="run rows that exist again")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    folder = data_folder(options.data)
    for name in options.sets.split(","):
        adata = load(folder, name)
        adata = adata[labeled(adata)].copy()
        truth = adata.obs[LABEL].astype(str).to_numpy()
        for seed in range(options.seeds):
            for n_each in options.labels.split(","):
                known = known_cells(truth, n_each, seed)
                for method in options.methods.split(","):
                    done = finished(options.output, KEYS)
                    if (name, n_each, method, seed) in done and not options.redo:
                        continue
                    start = perf_counter()
                    predicted = METHODS[method](adata, known, seed)
                    row: Row = {
                        "set": name,
                        "n_each": n_each,
                        "method": method,
                        "seed": seed,
                        **score(truth[~known], predicted),
                        "n_known": int(known.sum()),
                        "n_scored": int((~known).sum()),
                        "seconds": round(perf_counter() - start, 2),
                        **provenance(),
                    }
                    add_row(options.output, row, KEYS)
                    logger.info("%s %s %s %d: %.3f", name, n_each, method, seed, row["accuracy"])


if __name__ == "__main__":
    main()
