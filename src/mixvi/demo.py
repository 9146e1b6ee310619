"""The demonstration: cluster the embedded blood cells and draw what came out."""

from pathlib import Path
from time import perf_counter
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import scanpy as sc

from mixvi import datasets, metrics, pl, tl
from mixvi._files import replacing, replacing_directory
from mixvi._keys import Keys
from mixvi.report import write_report

__all__ = ["run"]

LABEL = "cell_type"
KEYS = Keys("cgmdvae")


def run(
    directory: Path, *, seed: int = 0, train_kwargs: dict[str, Any] | None = None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Train on :func:`mixvi.datasets.pbmc` and write the results.

    Parameters
    ----------
    directory
        Gets ``pbmc.h5ad`` (annotated, with a UMAP), ``model/``, ``umap.png`` and ``report.html``;
        made if missing. Files of an earlier run are replaced.
    seed
        Seed of training and of the UMAP.
    train_kwargs
        Passed on to training.

    Returns
    -------
    The contingency table clusters × cell types, and a dictionary of scores: those of
    ``mixvi.metrics.clustering_scores``, the number ``n_components`` that clusters were merged from,
    and ``seconds`` of training.

    Raises
    ------
    OSError
        If the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (
        replacing(directory / "pbmc.h5ad") as h5ad,
        replacing(directory / "umap.png") as png,
        replacing_directory(directory / "model") as model,
        replacing(directory / "report.html") as page,
    ):
        adata = datasets.pbmc()
        start = perf_counter()
        tl.cgmdvae(adata, train_kwargs=train_kwargs, save=model, rng=seed)
        seconds = perf_counter() - start
        sc.pp.neighbors(adata, use_rep=KEYS.latent, random_state=seed)
        sc.tl.umap(adata, random_state=seed)
        adata.write_h5ad(h5ad)
        figure = pl.umap_panels(adata, key=KEYS.name, label_key=LABEL)
        figure.savefig(png, format="png", dpi=150)
        plt.close(figure)
        write_report(adata, page, label_key=LABEL, title="700 blood cells")
    labels, clusters = adata.obs[LABEL], adata.obs[KEYS.cluster]
    scores = metrics.clustering_scores(labels, clusters) | {
        "n_components": len(adata.uns[KEYS.params]["components"]),
        "seconds": seconds,
    }
    return metrics.contingency(labels, clusters), scores
