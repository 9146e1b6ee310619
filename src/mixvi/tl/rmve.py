"""Cluster cells with RMVE in one call."""

from __future__ import annotations

from os import PathLike
from typing import Any, Literal

import numpy as np
from anndata import AnnData

from mixvi.model import RMVE

from .fit import fit

__all__ = ["rmve"]


def rmve(
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
    key_added: str = "rmve",
    model_kwargs: dict[str, Any] | None = None,
    train_kwargs: dict[str, Any] | None = None,
    save: str | PathLike[str] | None = None,
    rng: int | np.random.Generator | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Set up, train and annotate with :class:`mixvi.model.RMVE`.

    Follow it with ``sc.pp.neighbors(adata, use_rep="X_rmve")``, ``sc.tl.umap(adata)`` and
    ``sc.pl.umap(adata, color="rmve")``.

    Parameters
    ----------
    adata, n_components, layer, batch_key, condition_key, labels_key, unlabeled_category, \
size_factor_key, categorical_covariate_keys, continuous_covariate_keys, mask_var, save, rng, copy
        As in :func:`mixvi.tl.cgmdvae`.
    key_added
        Name of the result, the prefix of every key.
    model_kwargs
        For :class:`mixvi.model.RMVE`, for example ``{"repulsion": "mmd"}``.
    train_kwargs
        For :meth:`mixvi.model.RMVE.train`.

    Returns
    -------
    ``None``, or the copy; the keys are those of :func:`mixvi.tl.cgmdvae` (there is no style).

    Raises
    ------
    KeyError
        If a column, layer or mask is missing.
    ValueError
        If the counts are not counts, a cell or gene has none, or ``key_added`` names something
        that mixvi did not write.
    """
    return fit(
        RMVE,
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
