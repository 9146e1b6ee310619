"""The embeddings that are compared: PCA (unscaled and scaled), SCVI, CGMDVAE."""

from dataclasses import dataclass, field
from typing import Any

import anndata as ad
import numpy as np
import scanpy as sc
import scvi

from benchmarks.data import covariates

DRVI_EPOCHS = 50


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
    confidence
        The method's probability of the cluster that it chose ``(n_cells,)``, if it states one.
    n_components
        Components of the method's mixture, with cells or not, if it has one.
    """

    z: np.ndarray
    parameters: dict[str, Any] = field(default_factory=dict)
    clusters: np.ndarray | None = None
    confidence: np.ndarray | None = None
    n_components: int | None = None


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


def scvi_latent(
    adata: ad.AnnData, seed: int, max_epochs: int | None = None, likelihood: str = "nb"
) -> Embedding:
    """Latent space of SCVI with its default architecture, negative binomial on counts by default.

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
    likelihood
        ``gene_likelihood`` of the model.
    """
    epochs = default_epochs(adata.n_obs) if max_epochs is None else max_epochs
    warmup = min(400, max(epochs // 2, 1))
    scvi.settings.seed = seed
    cells = counts(adata)
    scvi.model.SCVI.setup_anndata(cells, **as_scvi_keys(cells))
    model = scvi.model.SCVI(cells, gene_likelihood=likelihood)
    model.train(
        max_epochs=epochs,
        plan_kwargs={"n_epochs_kl_warmup": warmup},
        enable_progress_bar=False,
    )
    parameters = {
        "max_epochs": epochs,
        "n_epochs_kl_warmup": warmup,
        "gene_likelihood": likelihood,
        **covariates(cells),
    }
    return Embedding(model.get_latent_representation(), parameters)


def drvi(adata: ad.AnnData, seed: int, max_epochs: int = DRVI_EPOCHS) -> Embedding:
    """Latent space of DRVI (drvi-py) with its default architecture, 32 dimensions.

    Parameters
    ----------
    adata
        Prepared cells, counts in ``X``.
    seed
        Goes to ``scvi.settings.seed``.
    max_epochs
        Epochs; the KL term is warmed up over the first half of them.
    """
    from drvi.model import DRVI

    warmup = max(max_epochs // 2, 1)
    scvi.settings.seed = seed
    cells = counts(adata)
    DRVI.setup_anndata(cells, **as_scvi_keys(cells))
    model = DRVI(cells)
    model.train(
        max_epochs=max_epochs,
        plan_kwargs={"n_epochs_kl_warmup": warmup},
        enable_progress_bar=False,
    )
    z = model.get_latent_representation()
    parameters = {
        "max_epochs": max_epochs,
        "n_epochs_kl_warmup": warmup,
        "n_latent": z.shape[1],
        **covariates(cells),
    }
    return Embedding(z, parameters)


def mixvi(adata: ad.AnnData, seed: int, model_name: str, n_components: int | str) -> Embedding:
    """One of mixvi's models with its default recipe; it makes clusters of its own.

    Parameters
    ----------
    adata
        Prepared cells, counts in ``X``.
    seed
        Goes to ``scvi.settings.seed``.
    model_name
        Name of a class in :mod:`mixvi.model`.
    n_components
        The true number of classes, or ``"auto"`` where the model finds the number.
    """
    model = train(adata, seed, model_name, {"n_components": n_components})
    probabilities = model.predict_proba()
    return Embedding(
        model.get_latent_representation(),
        {"model": model_name, "n_components": n_components, **covariates(adata)},
        np.asarray(model.predict()),
        confidence=probabilities.to_numpy().max(1),
        n_components=probabilities.shape[1],
    )


def train(
    adata: ad.AnnData,
    seed: int,
    model_name: str,
    options: dict[str, Any],
    training: dict[str, Any] | None = None,
) -> Any:
    """Train one of mixvi's models on counts.

    Parameters
    ----------
    adata
        Prepared cells, counts in ``X``.
    seed
        Goes to ``scvi.settings.seed``.
    model_name
        Name of a class in :mod:`mixvi.model`.
    options
        Of the model, ``n_components`` and others.
    training
        Options of its training; the default recipe if there are none.
    """
    # imported here so that the peers run without it
    import mixvi.model

    scvi.settings.seed = seed
    cells = counts(adata)
    model_class = getattr(mixvi.model, model_name)
    model_class.setup_anndata(cells, **covariates(cells))
    model = model_class(cells, **options)
    model.train(enable_progress_bar=False, **(training or {}))
    return model


def counts(adata: ad.AnnData) -> ad.AnnData:
    """Copy of counts and covariates, without the labels: what a model is registered with."""
    return ad.AnnData(
        X=adata.X.copy(),
        obs=adata.obs[list(covariates(adata).values())].copy(),
        var=adata.var.copy(),
    )


def as_scvi_keys(adata: ad.AnnData) -> dict[str, Any]:
    """Arguments of ``setup_anndata`` of models that know no condition but covariates."""
    keys: dict[str, Any] = covariates(adata)
    if "condition_key" in keys:
        keys["categorical_covariate_keys"] = [keys.pop("condition_key")]
    return keys
