"""The embeddings that are compared: PCA (unscaled and scaled), SCVI, CGMDVAE."""

from dataclasses import dataclass, field
from typing import Any

import anndata as ad
import numpy as np
import scanpy as sc
import scvi


@dataclass(frozen=True)
class Embedding:
    """What a method made of the cells.

    Attributes
    ----------
    z
        Embedding ``(n_cells, n_latent)``.
    parameters
        The settings that were used.
    clusters
        The method's own clusters ``(n_cells,)``, or ``None`` if it makes none.
    """

    z: np.ndarray
    parameters: dict[str, Any] = field(default_factory=dict)
    clusters: np.ndarray | None = None


def pca(adata: ad.AnnData, seed: int, *, scaled: bool) -> Embedding:
    """50 principal components of log-normalized counts.

    Parameters
    ----------
    adata
        Prepared cells (:func:`benchmarks.data.prepare`).
    seed
        Seed of the solver.
    scaled
        Whether genes are first brought to unit variance and clipped at 10.
    """
    work = ad.AnnData(X=adata.layers["lognorm"].copy())
    if scaled:
        work.X = work.X.toarray()
        sc.pp.scale(work, max_value=10)
    n_comps = min(50, min(work.shape) - 1)
    sc.pp.pca(work, n_comps=n_comps, random_state=seed)
    return Embedding(work.obsm["X_pca"], {"n_comps": n_comps, "scaled": scaled})


def default_epochs(n_cells: int) -> int:
    """Epochs that scvi-tools trains by default: 400 up to 20,000 cells, then fewer."""
    return min(round(20_000 / n_cells * 400), 400)


def scvi_latent(adata: ad.AnnData, seed: int, max_epochs: int | None = None) -> Embedding:
    """Latent space of SCVI with its default architecture and the negative binomial on counts.

    The KL term is warmed up over the first half of training: scvi's own default of 400 epochs
    would never reach its end in a run of 400 or fewer.

    Parameters
    ----------
    adata
        Prepared cells, counts in ``X``.
    seed
        Goes to ``scvi.settings.seed``.
    max_epochs
        Epochs, or ``None`` for scvi's default.
    """
    epochs = default_epochs(adata.n_obs) if max_epochs is None else max_epochs
    warmup = min(400, max(epochs // 2, 1))
    scvi.settings.seed = seed
    cells = ad.AnnData(X=adata.X.copy(), var=adata.var.copy())
    scvi.model.SCVI.setup_anndata(cells)
    model = scvi.model.SCVI(cells, gene_likelihood="nb")
    model.train(
        max_epochs=epochs,
        plan_kwargs={"n_epochs_kl_warmup": warmup},
        enable_progress_bar=False,
    )
    parameters = {"max_epochs": epochs, "n_epochs_kl_warmup": warmup, "gene_likelihood": "nb"}
    return Embedding(model.get_latent_representation(), parameters)


def cgmdvae(adata: ad.AnnData, seed: int, n_components: int) -> Embedding:
    """CGMDVAE with its default recipe and as many components as there are classes.

    Parameters
    ----------
    adata
        Prepared cells, counts in ``X``.
    seed
        Goes to ``scvi.settings.seed``.
    n_components
        The true number of classes.
    """
    # imported here so that the peers run without it
    from mixvi.model import CGMDVAE

    scvi.settings.seed = seed
    cells = ad.AnnData(X=adata.X.copy(), var=adata.var.copy())
    CGMDVAE.setup_anndata(cells)
    model = CGMDVAE(cells, n_components=n_components)
    model.train()
    z, clusters = model.get_latent_representation(), np.asarray(model.predict())
    return Embedding(z, {"n_components": n_components}, clusters)
