"""The page, from an annotated AnnData."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mixvi._files import replacing
from mixvi.pl._columns import categories, obs_column
from mixvi.pl._contingency import hungarian_order

from .advice import advise
from .cells import summarize_cells
from .charts import curves, histogram
from .clusters import describe_clusters
from .embedding import draw_cells
from .markers import find_markers
from .mixing import describe_spread
from .run import Run, find_run, text
from .training import describe_training
from .tree import describe_tree
from .uncertainty import describe_uncertainty

__all__ = ["write_report"]


def write_report(
    adata: AnnData,
    path: str | PathLike[str],
    *,
    key: str | None = None,
    label_key: str | None = None,
    basis: str | None = None,
    title: str | None = None,
) -> None:
    """Write one HTML page about a run: clusters, markers, certainty, training, how to repeat it.

    The page needs no other file and no network, and everything in it comes from ``adata``: the
    model is not needed. It shows an embedding whose cells say what they are, the clusters with
    marker genes, how sure the model is and which cells look unlike the training cells, how batches
    spread, the training curves, what deserves a second look in plain words, and the code.

    Parameters
    ----------
    adata
        Cells annotated by :func:`mixvi.tl.cgmdvae`, :func:`mixvi.tl.rmve`,
        :func:`mixvi.tl.transfer` or ``model.annotate``. Not changed.
    path
        The ``.html`` file to write; one that is there is replaced when the new one is whole.
    key
        The ``key_added`` of the run; by default the latest.
    label_key
        Column of ``obs`` with known labels, to set the clusters against; by default the labels
        that the model was given.
    basis
        Key of ``obsm`` to draw. By default ``"X_umap"``; if there is none, a UMAP of the latent
        space is computed for the page, above 20,000 cells its principal components.
    title
        Heading of the page.

    Raises
    ------
    KeyError
        If there is no such run, column or embedding.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> mixvi.tl.cgmdvae(adata, batch_key="donor")  # doctest: +SKIP
    >>> write_report(adata, "report.html")  # doctest: +SKIP
    """
    run = find_run(adata, key)
    if label_key is None:
        label_key = run.key_of("labels")
        label_key = label_key if label_key in adata.obs else None
    else:
        obs_column(adata, label_key)
    with replacing(Path(path)) as page:
        page.write_text(_render(_content(adata, run, label_key, basis, title)), encoding="utf-8")


def _content(
    adata: AnnData, run: Run, label_key: str | None, basis: str | None, title: str | None
) -> dict[str, Any]:
    """Everything that the template shows."""
    column = categories(adata, run.keys.cluster)
    cells = summarize_cells(adata, run)
    markers = None
    if cells.matrix is not None:
        counts = cells.depth is not None
        markers = find_markers(cells.matrix, adata.var_names, column, counts=counts)
    clusters = describe_clusters(adata, run, cells, markers, label_key)
    uncertainty = describe_uncertainty(adata, run)
    spreads = [
        spread
        for role in ("batch", "condition")
        if (spread := describe_spread(adata, run, role)) is not None
    ]
    training = describe_training(run)
    rate = run.false_alarm_rate
    advice = advise(cells, clusters, uncertainty, spreads, training, false_alarm_rate=rate)
    return {
        "title": title or f"Clusters of {adata.n_obs:,} cells",
        "run": run,
        "cells": cells,
        "clusters": clusters,
        "markers": markers,
        "uncertainty": uncertainty,
        "spreads": spreads,
        "training": training,
        "advice": advice,
        "tree": describe_tree(adata, run),
        "picture": draw_cells(adata, run, label_key, basis),
        "label_key": label_key,
        "contingency": None if label_key is None else _contingency(adata, run, label_key),
        "charts": _charts(training, uncertainty),
        "version": version("mixvi"),
    }


def _contingency(adata: AnnData, run: Run, label_key: str) -> pd.DataFrame:
    """Shares of the labels in every cluster, in the order of the Hungarian matching."""
    table = pd.crosstab(categories(adata, run.keys.cluster), categories(adata, label_key))
    table = table.iloc[:, hungarian_order(table.to_numpy())]
    return table.div(table.sum(axis=1), axis=0)


def _charts(training: Any, uncertainty: Any) -> dict[str, Markup]:
    charts = {
        "confidence": histogram(
            uncertainty.confidence,
            title="Numbers of cells by the confidence of their cluster",
            x="confidence",
            limits=(0, 1),
        )
    }
    if uncertainty.novelty is not None and np.isfinite(uncertainty.novelty).any():
        charts["novelty"] = histogram(
            uncertainty.novelty,
            title="Numbers of cells by novelty, with the threshold for new cells",
            x="novelty (nats)",
            mark=uncertainty.threshold,
            mark_text="may be new above",
        )
    if training is not None and training.n_epochs > 1:
        begins = training.mixture_from
        charts["elbo"] = curves(
            training.elbo, title="Negative ELBO by epoch", y="nats per cell", begins=begins
        )
        for i, (name, values) in enumerate(training.terms.items()):
            charts[f"term {i}"] = curves(
                {name: values}, title=f"{name} by epoch", y="nats per cell", begins=begins
            )
    return charts


def _render(content: dict[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("mixvi.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "percent": _percent,
        "thousands": "{:,}".format,
        "median": np.median,
        "as_text": text,
        "pyrepr": repr,
    }
    environment.filters.update(filters)
    page = files("mixvi.report") / "page"
    own = {name: Markup((page / name).read_text("utf-8")) for name in ("style.css", "script.js")}
    template = environment.get_template("report.html")
    return template.render(content, style=own["style.css"], script=own["script.js"])


def _percent(share: float) -> str:
    """A share as people write it, never rounded to nothing or all."""
    if not np.isfinite(share):
        return "–"
    if 0 < share < 0.01:
        return "<1%" if share < 0.005 else "1%"
    if 0.99 < share < 1:
        return ">99%" if share > 0.995 else "99%"
    return f"{share:.0%}"
