"""Cluster cells with CGMDVAE in one call."""

from __future__ import annotations

from os import PathLike
from typing import Any, Literal

import numpy as np
from anndata import AnnData

from mixvi.model import CGMDVAE

from .fit import fit

__all__ = ["cgmdvae"]


def cgmdvae(
    adata: AnnData,
    n_components: int | Literal["auto"] = "auto",
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
        Number of clusters, or ``"auto"``: 30 components, merged into as many clusters as stand
        apart (:meth:`mixvi.model.CGMDVAE.merge_components`).
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
    (style means), ``obs["{key}"]`` (clusters), ``obsm["{key}_probs"]`` (their probabilities),
    ``obs["{key}_confidence"]``, ``obs["{key}_entropy"]``, ``obs["{key}_novelty"]``,
    ``uns["{key}"]`` and, where clusters are merged components, ``obs["{key}_component"]`` and
    ``obsm["{key}_component_probs"]``.

    Raises
    ------
    KeyError
        If a column, layer or mask is missing.
    ValueError
        If the counts are not counts, a cell or gene has none, or ``key_added`` names something
        that mixvi did not write.
    """
    return fit(
        CGMDVAE,
        adata,
        n_components,
        setup={
            "layer": layer,
            "batch_key": batch_key,
            "condition_key": condition_key,
            "labels_key": labels_key,
            "unlabeled_category": unlabeled_category,
            "size_factor_key": size_factor_key,
            "categorical_covariate_keys": categorical_covariate_keys,
            "continuous_covariate_keys": continuous_covariate_keys,
        },
        mask_var=mask_var,
        key_added=key_added,
        model_kwargs=model_kwargs,
        train_kwargs=train_kwargs,
        save=save,
        rng=rng,
        copy=copy,
    )
