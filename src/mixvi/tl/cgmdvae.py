"""Cluster cells with CGMDVAE in one call."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
from anndata import AnnData

from mixvi._keys import Keys
from mixvi.model import CGMDVAE
from mixvi.model.checks import check_matrix, get_matrix

from .seeding import seeded

__all__ = ["cgmdvae"]


def cgmdvae(
    adata: AnnData,
    n_components: int = 30,
    *,
    layer: str | None = None,
    batch_key: str | None = None,
    condition_key: str | None = None,
    labels_key: str | None = None,
    unlabeled_category: str | None = None,
    size_factor_key: str | None = None,
    categorical_covariate_keys: list[str] | None = None,
    continuous_covariate_keys: list[str] | None = None,
    mask_var: str | bool | None = None,
    key_added: str = "cgmdvae",
    model_kwargs: dict[str, Any] | None = None,
    train_kwargs: dict[str, Any] | None = None,
    save: str | PathLike[str] | None = None,
    rng: int | np.random.Generator | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Set up, train and annotate: clusters and a latent space in one call.

    Follow it with ``sc.pp.neighbors(adata, use_rep="X_cgmdvae")``, ``sc.tl.umap(adata)`` and
    ``sc.pl.umap(adata, color="cgmdvae")``.

    Parameters
    ----------
    adata
        Cells × genes with raw counts in ``X`` or a layer.
    n_components
        Number of clusters.
    layer, batch_key, condition_key, labels_key, unlabeled_category, size_factor_key, \
categorical_covariate_keys, continuous_covariate_keys
        See :meth:`mixvi.model.CGMDVAE.setup_anndata`.
    mask_var
        Genes to train on: a boolean column of ``var``; by default ``var["highly_variable"]`` if it
        is there, else all. ``False``: all.
    key_added
        Name of the result, the prefix of every key.
    model_kwargs
        For :class:`mixvi.model.CGMDVAE`, for example ``{"n_latent": 20}``.
    train_kwargs
        For :meth:`mixvi.model.CGMDVAE.train`, for example ``{"max_epochs": 50}``.
    save
        Folder to save the trained model to. It must not exist.
    rng
        Seed of this call; by default random numbers follow ``scvi.settings.seed``.
    copy
        Return an annotated copy and leave ``adata`` alone.

    Returns
    -------
    ``None``, or the copy. Written are ``obsm["X_{key}"]`` (latent means), ``obsm["X_{key}_w"]``
    (style means), ``obs["{key}"]`` (clusters), ``obsm["{key}_probs"]`` (responsibilities),
    ``obs["{key}_confidence"]``, ``obs["{key}_novelty"]`` and ``uns["{key}"]``.

    Raises
    ------
    KeyError
        If a column, layer or mask is missing.
    ValueError
        If the counts are not counts, or a cell or gene has none.
    """
    genes = _mask(adata, mask_var)
    setup: dict[str, Any] = {
        "layer": layer,
        "batch_key": batch_key,
        "condition_key": condition_key,
        "labels_key": labels_key,
        "unlabeled_category": unlabeled_category,
        "size_factor_key": size_factor_key,
        "categorical_covariate_keys": categorical_covariate_keys,
        "continuous_covariate_keys": continuous_covariate_keys,
    }
    trained_on = adata[:, genes].copy() if not adata.isbacked else adata[:, genes].to_memory()
    with seeded(rng):
        CGMDVAE.setup_anndata(trained_on, **setup)
        model = CGMDVAE(trained_on, n_components=n_components, **(model_kwargs or {}))
        _check_genes(model)
        model.train(**(train_kwargs or {}))
        model.annotate(key_added=key_added)
    if save is not None:
        model.save(str(save))
    target = adata.copy() if copy else adata
    keys = Keys(key_added)
    for name in (keys.latent, keys.style, keys.probs):
        if name in trained_on.obsm:
            target.obsm[name] = trained_on.obsm[name]
    for name in (keys.cluster, keys.confidence, keys.novelty):
        target.obs[name] = trained_on.obs[name]
    target.uns[keys.params] = trained_on.uns[keys.params]
    return target if copy else None


def _check_genes(model: CGMDVAE) -> None:
    """A gene without a count says nothing and would only slow training down."""
    if model.module.likelihood.is_count:
        layer = model.registry["setup_args"]["layer"]
        check_matrix(
            get_matrix(model.adata, layer),
            counts=True,
            obs_names=model.adata.obs_names,
            var_names=model.adata.var_names,
            what=layer or "X",
            empty_genes=True,
        )


def _mask(adata: AnnData, mask_var: str | bool | None) -> np.ndarray:
    """The genes to train on."""
    if mask_var is None:
        mask_var = "highly_variable" if "highly_variable" in adata.var else False
    if mask_var is False:
        return np.ones(adata.n_vars, dtype=bool)
    if mask_var not in adata.var:
        raise KeyError(
            f"expected a boolean column {mask_var!r} in adata.var, found "
            f"{', '.join(map(repr, adata.var.columns)) or 'none'}; pass mask_var=False to use "
            "all genes"
        )
    genes = adata.var[mask_var].to_numpy(dtype=bool)
    if not genes.any():
        raise ValueError(f"expected genes with adata.var[{mask_var!r}], found none; check the mask")
    return genes
