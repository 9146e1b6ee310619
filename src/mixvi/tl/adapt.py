"""Reference and query trained together, with free components for what only the query has."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scipy import sparse

from mixvi.model import CGMDVAE
from mixvi.model.checks import check_columns, check_numbers, get_matrix
from mixvi.model.false_alarms import attainable_rate, threshold_of
from mixvi.model.query_genes import GeneOverlap

from .genes import chosen_genes
from .mapped import Mapped, mapped

__all__ = ["N_MODELS", "Adapted", "adapt", "log_odds_of_new"]

HIDDEN = 0.1  # share of the reference's labels that the model does not see
N_MODELS = 3
BACKGROUND = 0.01  # share of known cells that lie where the background is denser than their labels
BATCH, LABEL, UNLABELED = "batch", "label", "(unlabeled)"


@dataclass(frozen=True)
class Adapted:
    """A joint training, of several models.

    Attributes
    ----------
    query, reference
        What it says about their cells: the mean of the models' probabilities of the labels; the
        rest as the model says it whose novelty is closest to the mean.
    novelty
        Log-odds of every cell of both, by their names (:func:`log_odds_of_new`), the mean over the
        models.
    threshold
        Log-odds that a share of the reference's cells with hidden labels exceeds, at least 0: a
        cell that its labels explain better than everything else is not new.
    false_alarm_rate
        That share: the one asked for, if the number of these cells can keep it.
    """

    query: Mapped
    reference: Mapped
    novelty: dict[str, np.ndarray]
    threshold: float
    false_alarm_rate: float


def adapt(
    query: AnnData,
    reference: AnnData,
    labels_key: str,
    *,
    batch_key: str | None,
    layer: str | None,
    unlabeled_category: str | None,
    mask_var: str | bool | None,
    false_alarm_rate: float,
    n_models: int,
    model_kwargs: dict[str, Any],
    train_kwargs: dict[str, Any],
) -> Adapted:
    """Train on both, the query without labels.

    Parameters
    ----------
    query, reference, labels_key, batch_key, layer, unlabeled_category, mask_var, \
false_alarm_rate, n_models, model_kwargs, train_kwargs
        As in :func:`mixvi.tl.transfer`.
    """
    parts = {"reference": reference, "query": query}
    check_columns(reference, [labels_key])
    for part in parts.values():
        check_columns(part, [] if batch_key is None else [batch_key])
    genes = pd.Index(reference.var_names[chosen_genes(reference, mask_var)])
    overlap = GeneOverlap.of(query, genes)
    shared = genes.difference(overlap.missing, sort=False)
    matrices = [_columns(part, shared, layer) for part in parts.values()]
    X = sparse.vstack(matrices, format="csr")
    counted = np.asarray((X != 0).sum(0)).ravel() > 0
    labels = reference.obs[labels_key].astype(str).to_numpy(dtype=object)
    if unlabeled_category is not None:
        labels[labels == str(unlabeled_category)] = UNLABELED
    labeled = np.flatnonzero(labels != UNLABELED)
    if not len(labeled):
        raise ValueError(
            f"expected labels in reference.obs[{labels_key!r}], found none; check "
            "unlabeled_category"
        )
    hidden = _hidden(labels, labeled)
    labels[hidden] = UNLABELED
    batch = [
        np.repeat(name, part.n_obs) if batch_key is None else part.obs[batch_key].astype(str)
        for name, part in parts.items()
    ]
    joint = AnnData(
        X[:, counted],
        obs=pd.DataFrame(
            {
                BATCH: np.concatenate(batch),
                LABEL: np.concatenate([labels, np.repeat(UNLABELED, query.n_obs)]),
            },
            index=[f"{name}:{cell}" for name, part in parts.items() for cell in part.obs_names],
        ),
        var=pd.DataFrame(index=shared[counted]),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* has fewer than 3 cells")
        CGMDVAE.setup_anndata(
            joint, batch_key=BATCH, labels_key=LABEL, unlabeled_category=UNLABELED
        )
    runs = []
    for _ in range(n_models):
        model = CGMDVAE(joint, **model_kwargs)
        model.train(**train_kwargs)
        runs.append(_ask(model, joint, reference.n_obs, hidden))
    novelty = {name: np.mean([run.novelty[name] for run in runs], axis=0) for name in parts}
    typical = _most_typical(runs, novelty["query"]).results
    results = {
        name: replace(typical[name], labels=_mean([run.results[name].labels for run in runs]))
        for name in parts
    }
    scores = np.sort(novelty["reference"][hidden])
    return Adapted(
        **results,
        novelty=novelty,
        threshold=max(threshold_of(scores, len(scores), false_alarm_rate), 0.0),
        false_alarm_rate=attainable_rate(false_alarm_rate, len(scores)),
    )


@dataclass(frozen=True)
class _Run:
    """What one model says about the cells of both, by their names."""

    results: dict[str, Mapped]
    novelty: dict[str, np.ndarray]


def _ask(model: CGMDVAE, joint: AnnData, n_reference: int, hidden: np.ndarray) -> _Run:
    """Ask a model about the cells of the reference, which come first, and of the query."""
    known = sorted(model._known_labels())
    results = {
        "query": mapped(model, joint[n_reference:].copy(), known),
        "reference": mapped(model, joint[:n_reference].copy(), known),
    }
    background = float(np.quantile(results["reference"].log_known[hidden], BACKGROUND))
    novelty = {
        name: log_odds_of_new(result.log_known, result.log_free, background)
        for name, result in results.items()
    }
    return _Run(results, novelty)


def _mean(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.DataFrame(np.mean(frames, axis=0), frames[0].index, frames[0].columns)


def _most_typical(runs: list[_Run], novelty: np.ndarray) -> _Run:
    """The run whose novelty of the query is closest to the mean."""
    return min(runs, key=lambda run: float(np.abs(run.novelty["query"] - novelty).mean()))


def log_odds_of_new(
    log_known: np.ndarray, log_free: np.ndarray, log_background: float
) -> np.ndarray:
    r"""Log-odds of the free components or a background against the components of the labels.

    .. math:: \log \frac{\sum_{k\,\mathrm{free}} \hat\pi_k\, p(z|y{=}k) + b}
              {\sum_{k\,\mathrm{tied}} \hat\pi_k\, p(z|y{=}k)}

    Free components take what there are enough cells of to start one; the background of constant
    density b takes what is away from everything known.

    Parameters
    ----------
    log_known, log_free
        Log of the two sums at every cell.
    log_background
        Log b.
    """
    return np.logaddexp(log_free, log_background) - log_known


def _columns(adata: AnnData, genes: pd.Index, layer: str | None) -> sparse.csr_matrix:
    matrix = get_matrix(adata, layer)
    check_numbers(matrix, layer or "X")
    matrix = matrix[:, adata.var_names.get_indexer(genes)]
    return sparse.csr_matrix(matrix, dtype=np.float32)


def _hidden(labels: np.ndarray, labeled: np.ndarray) -> np.ndarray:
    """Labeled cells whose labels are kept back, of every label its share, but never all."""
    rng = np.random.default_rng(int(torch.randint(2**31 - 1, ())))
    picked = []
    for label in np.unique(labels[labeled]):
        cells = labeled[labels[labeled] == label]
        n = int(HIDDEN * len(cells) + rng.random())  # rounded at random: right on average
        picked.append(rng.permutation(cells)[: min(n, len(cells) - 1)])
    hidden = np.concatenate(picked)
    return np.sort(hidden if len(hidden) else rng.permutation(labeled)[:1])
