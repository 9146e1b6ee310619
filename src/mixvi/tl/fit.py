"""Set up, train and annotate: what the one-call functions share."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from anndata import AnnData

from mixvi._files import replacing_directory
from mixvi._keys import Keys, check_unclaimed
from mixvi.model import CGMDVAE, RMVE
from mixvi.model.cells import check_anndata
from mixvi.model.checks import check_matrix, check_numbers, get_matrix
from mixvi.model.record import call

from .genes import chosen_genes
from .on_disk import genes_on_disk
from .seeding import seeded

__all__ = ["fit"]


def fit(
    model_cls: type[CGMDVAE] | type[RMVE],
    adata: AnnData,
    n_components: int | Literal["auto"],
    *,
    setup: dict[str, Any],
    mask_var: str | bool | None,
    key_added: str,
    model_kwargs: dict[str, Any] | None,
    train_kwargs: dict[str, Any] | None,
    save: str | PathLike[str] | None,
    rng: int | np.random.Generator | None,
    copy: bool,
) -> AnnData | None:
    """Train a model on some of the genes of ``adata`` and write what it says.

    Parameters
    ----------
    model_cls
        The model.
    setup
        For its ``setup_anndata``.
    adata, n_components, mask_var, key_added, model_kwargs, train_kwargs, save, rng, copy
        As in :func:`mixvi.tl.cgmdvae`.
    """
    check_anndata(adata)
    keys = Keys(key_added)
    check_unclaimed(adata, keys)
    genes = chosen_genes(adata, mask_var)
    layer = setup["layer"]
    check_numbers(get_matrix(adata, layer), layer or "X")
    with ExitStack() as stack:
        if adata.isbacked and layer is None:
            folder = stack.enter_context(TemporaryDirectory())
            trained_on = genes_on_disk(adata, genes, Path(folder))
            stack.callback(trained_on.file.close)
        else:
            part = adata[:, genes]
            trained_on = part.to_memory() if adata.isbacked else part.copy()
        if save is not None:  # before training, not after
            directory = stack.enter_context(_new_directory(Path(save)))
        stack.enter_context(seeded(rng))
        model_cls.setup_anndata(trained_on, **setup)
        model: Any = model_cls(trained_on, n_components=n_components, **(model_kwargs or {}))
        _check_genes(model)
        model.train(**(train_kwargs or {}))
        model.annotate(key_added=key_added)
        trained_on.uns[keys.params]["call"] = call(
            f"mixvi.tl.{model_cls._name}",
            "adata",
            n_components=n_components,
            **setup,
            mask_var=mask_var,
            key_added=key_added,
            model_kwargs=model_kwargs,
            train_kwargs=train_kwargs,
            rng=rng,
        )
        if save is not None:
            model.save(str(directory))
    target = _copy(adata) if copy else adata
    for slot in ("obs", "obsm", "uns"):
        written, there = getattr(trained_on, slot), getattr(target, slot)
        for name in keys.of(slot):
            if name in written:
                there[name] = written[name]
            elif name in there:  # of an earlier run
                del there[name]
    return target if copy else None


def _copy(adata: AnnData) -> AnnData:
    return adata.to_memory() if adata.isbacked else adata.copy()


def _new_directory(path: Path) -> AbstractContextManager[Path]:
    if path.exists():
        raise ValueError(
            f"expected a new directory to save to, found {str(path)!r}; choose another or remove it"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return replacing_directory(path)


def _check_genes(model: CGMDVAE | RMVE) -> None:
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
