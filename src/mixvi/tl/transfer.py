"""Labels from a reference to new cells, and which of these it does not know."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, Literal

import anndata as ad
import numpy as np
from anndata import AnnData

from mixvi._keys import Keys, check_unclaimed
from mixvi._numbers import check_at_least
from mixvi.model import CGMDVAE, RMVE
from mixvi.model.base import MixtureModel
from mixvi.model.cells import check_anndata
from mixvi.model.novelty import FALSE_ALARM_RATE
from mixvi.model.record import call
from mixvi.model.saved import load_reference

from .adapt import N_MODELS, adapt
from .mapped import join as joined
from .mapped import mapped, write
from .seeding import seeded

__all__ = ["transfer"]


def transfer(
    adata: AnnData,
    reference: AnnData | MixtureModel | str | PathLike[str],
    labels_key: str | None = None,
    *,
    batch_key: str | None = None,
    layer: str | None = None,
    unlabeled_category: str | None = None,
    mask_var: str | bool | None = None,
    n_new_components: int | Literal["auto"] = 0,
    false_alarm_rate: float = FALSE_ALARM_RATE,
    n_models: int | None = None,
    key_added: str | None = None,
    model_kwargs: dict[str, Any] | None = None,
    train_kwargs: dict[str, Any] | None = None,
    join: bool = False,
    rng: int | np.random.Generator | None = None,
) -> AnnData | None:
    r"""Label new cells from a reference, and say which of them it does not know.

    Two ways, by what the reference is. **A trained model, or the directory of one**: the cells are
    encoded, nothing is trained and the reference stays as it is
    (:meth:`mixvi.model.CGMDVAE.load_query_data`). A cell's novelty is −log p(z) under the
    reference's mixture. **Cells with labels**: a model is trained on both together, in which the
    first components are tied to the labels and as many more are free to take what the
    reference lacks. The novelty is the log-odds of the free ones, or of a background of constant
    density b, against the tied,

    .. math:: \log \frac{\sum_{k\,\mathrm{free}} \hat\pi_k\, p(z|y{=}k) + b}
              {\sum_{k\,\mathrm{tied}} \hat\pi_k\, p(z|y{=}k)},

    where one in a hundred of the known cells lies where b is the denser. A type of many cells
    gets a free component; one of few stands out by its distance from everything known. Whether it
    does varies from training to training, so three models are trained, and their log-odds and
    their probabilities of labels averaged :cite:p:`lakshminarayanan2017`.

    The first takes seconds and suits an atlas; the second takes minutes and needs the reference's
    cells. Which finds an unseen type better depends on the type.

    Parameters
    ----------
    adata
        New cells; genes are matched by name.
    reference
        Model, directory, or cells × genes with labels.
    labels_key
        ``obs`` column of the reference's labels (with cells as reference).
    batch_key
        ``obs`` column of the batch in both (with cells as reference); by default reference and
        query are a batch each. A model knows its own columns.
    layer
        Layer with the counts in both (with cells as reference).
    unlabeled_category
        Category of ``labels_key`` that marks reference cells without a label.
    mask_var
        Genes to train on: a boolean column of the reference's ``var``; by default
        ``var["highly_variable"]`` if it is there, else all. ``False``: all.
    n_new_components
        Components for cells that the model does not know (with a model as reference), or
        ``"auto"``.
    false_alarm_rate
        Share of known cells that may be called new. The threshold is where this share of the
        reference's cells lies that the model was not trained on (with cells as reference: a tenth
        whose labels were hidden from it; the threshold then is at least 0, even odds).
    n_models
        Models to train and average over (with cells as reference); by default 3. 1 takes a third
        of the time.
    key_added
        Name of the result; by default ``"{labels_key}_pred"``, or the model's name if it was
        trained without labels.
    model_kwargs, train_kwargs
        For :class:`mixvi.model.CGMDVAE` and its training (with cells as reference).
    join
        Return reference and query in one object. With a model as reference its cells must be
        there: in the model, or saved beside it (``save_anndata=True``).
    rng
        Seed of this call; by default random numbers follow ``scvi.settings.seed``.

    Returns
    -------
    ``None``, or with ``join`` both sets of cells, with all genes that they share, annotated, and
    ``obs["{key}_origin"]``: ``"reference"`` or ``"query"``. Written into ``adata`` are
    ``obs["{key}"]`` (the most probable label), ``obsm["{key}_probs"]`` (probabilities of the
    labels), ``obs["{key}_confidence"]`` (that of the cell's label), ``obs["{key}_entropy"]``,
    ``obs["{key}_novelty"]``, ``obs["{key}_novel"]`` (novelty above the threshold),
    ``obs["{key}_component"]`` (the most probable component: a label, or ``novel_…``),
    ``obsm["X_{key}"]`` (latent means) and ``uns["{key}"]``. Of several models the component and
    the latent means are those of the one whose novelty is closest to the average.

    Raises
    ------
    FileNotFoundError
        If there is no such directory.
    KeyError
        If a column or layer is missing.
    ValueError
        If the two share no genes, the reference is damaged, there are no labels, an argument is
        for the other kind of reference, or ``key_added`` names what mixvi did not write.

    Examples
    --------
    >>> mixvi.tl.transfer(query, "atlas/")  # doctest: +SKIP
    >>> mixvi.tl.transfer(query, reference, "cell_type", batch_key="donor")  # doctest: +SKIP
    """
    of_cells = {
        "labels_key": labels_key,
        "batch_key": batch_key,
        "layer": layer,
        "unlabeled_category": unlabeled_category,
        "mask_var": mask_var,
        "n_models": n_models,
        "model_kwargs": model_kwargs,
    }
    with_cells = isinstance(reference, AnnData)
    _check_arguments({"n_new_components": n_new_components or None} if with_cells else of_cells)
    known: Any = reference if with_cells else load_reference(reference, [CGMDVAE, RMVE])
    n_models = N_MODELS if n_models is None else n_models
    check_at_least(1, n_models=n_models)
    keys = Keys(key_added or default_key(known, labels_key))
    check_anndata(adata)
    check_unclaimed(adata, keys)
    key = keys.name
    with seeded(rng):
        if with_cells:
            if labels_key is None:
                raise ValueError(
                    "expected labels_key with cells as reference, found none; name the column of "
                    "reference.obs that holds the labels"
                )
            found = adapt(
                adata,
                known,
                labels_key,
                batch_key=batch_key,
                layer=layer,
                unlabeled_category=unlabeled_category,
                mask_var=mask_var,
                false_alarm_rate=false_alarm_rate,
                n_models=n_models,
                model_kwargs=model_kwargs or {},
                train_kwargs=train_kwargs or {},
            )
            novelties = found.novelty
            results = {"query": found.query, "reference": found.reference}
            threshold, mode, kept = found.threshold, "adapt", found.false_alarm_rate
        else:
            atlas = known
            labels = atlas._known_labels() or list(atlas.cluster_names_)
            cells = adata.copy() if adata.is_view or adata.isbacked else adata
            query = type(atlas).load_query_data(
                cells,
                atlas,
                n_new_components=n_new_components,
                false_alarm_rate=false_alarm_rate,
            )
            results = {"query": mapped(query, None, labels)}
            if join:
                known = _cells_of(atlas, reference)
                results["reference"] = mapped(atlas, known, labels)
            novelties = {name: result.novelty for name, result in results.items()}
            threshold, mode = atlas.novelty_threshold(false_alarm_rate), "frozen"
            kept = atlas._attainable_rate(false_alarm_rate)
    parameters: dict[str, Any] = {
        "mode": mode,
        "false_alarm_rate": kept,
        "call": call(
            "mixvi.tl.transfer",
            "adata",
            "reference",
            **of_cells,
            n_new_components=n_new_components or None,
            false_alarm_rate=false_alarm_rate,
            key_added=key,
            train_kwargs=train_kwargs,
            rng=rng,
        ),
    }
    if with_cells:  # the joint training's own columns are not the user's
        columns = {"labels_key": labels_key, "batch_key": batch_key, "layer": layer}
        parameters["setup"] = {name: value for name, value in columns.items() if value is not None}
    write(adata, results["query"], key, novelties["query"], threshold, parameters)
    if not join:
        return None
    annotated = known.copy()
    write(annotated, results["reference"], key, novelties["reference"], threshold, parameters)
    return joined(annotated, adata, key)


def _check_arguments(foreign: dict[str, Any]) -> None:
    """Refuse what is meant for the other kind of reference: it would have no effect."""
    for name, value in foreign.items():
        if value is not None:
            other, kind = (
                ("cells", "a model") if name != "n_new_components" else ("a model", "cells")
            )
            raise ValueError(
                f"expected no {name} with {kind} as reference, found {value!r}: it is for {other} "
                "as reference; leave it out"
            )


def default_key(
    reference: AnnData | MixtureModel | str | PathLike[str], labels_key: str | None
) -> str:
    """Name of the result: that of the labels and ``_pred``, or of a model without labels."""
    if not isinstance(reference, AnnData):
        atlas = load_reference(reference, [CGMDVAE, RMVE])
        labels_key = atlas.registry_["setup_args"].get("labels_key")
        if labels_key is None:
            return atlas._name
    return f"{labels_key}_pred"


def _cells_of(atlas: MixtureModel, reference: Any) -> AnnData:
    """The cells that a reference was trained on."""
    if atlas.adata is not None:
        return atlas.adata
    path = Path(str(reference)) / "adata.h5ad"
    if not path.is_file():
        raise ValueError(
            f"expected the reference's cells for join=True, found no {path.name} in "
            f"{str(path.parent)!r}; save the reference with save_anndata=True"
        )
    return ad.read_h5ad(path)
