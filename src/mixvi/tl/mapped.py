"""What a mapping says about cells, and where it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.special import logsumexp, softmax, xlogy

from mixvi._keys import Keys, column_names
from mixvi.model.record import run_record

__all__ = ["Mapped", "join", "mapped", "write"]

TINY = 1e-12  # of a cell in free components alone, what is left for the labels


@dataclass(frozen=True)
class Mapped:
    """A mapping of some cells.

    Attributes
    ----------
    latent
        Latent means, cells × D.
    labels
        Probabilities of the known labels, cells × labels, rows sum to 1.
    components
        Name of every cell's most probable component or cluster, new ones included.
    log_known, log_free
        Log density of the known labels' components at every cell, and that of all others.
    novelty
        −log p(z) in nats.
    record
        What is kept about the model.
    """

    latent: np.ndarray
    labels: pd.DataFrame
    components: np.ndarray
    log_known: np.ndarray
    log_free: np.ndarray
    novelty: np.ndarray
    record: dict[str, Any]


def mapped(model: Any, adata: AnnData | None, known: Sequence[str]) -> Mapped:
    """Ask a model about cells.

    Parameters
    ----------
    model
        Trained model.
    adata
        Cells; by default its own.
    known
        Those of its clusters that are known labels.
    """
    quantities = ["latent", "probs", "logits", "occupancies", "novelty"]
    posterior = model._posterior(adata, None, None, None, quantities)
    names = np.asarray(model.cluster_names_)
    codes = np.asarray(model.cluster_of_component_)
    logits, probs = posterior["logits"].astype(float), posterior["probs"].astype(float)
    occupancies = posterior["occupancies"].astype(float)
    member = codes == np.asarray([list(names).index(name) for name in known])[:, None]
    own = member[:, : logits.shape[1]]  # components that were added have no part in q(y | z)
    log_odds = np.stack([logsumexp(logits[:, row], axis=1) for row in own], 1)
    labels = probs @ member.T + TINY * softmax(log_odds, axis=1)
    tied = own.any(0)
    return Mapped(
        latent=posterior["latent"],
        labels=pd.DataFrame(labels / labels.sum(1, keepdims=True), columns=list(known)),
        components=names[codes[probs.argmax(1)]],
        log_known=logsumexp(occupancies[:, tied], axis=1),
        log_free=logsumexp(occupancies, axis=1, b=~tied),
        novelty=posterior["novelty"],
        record=run_record(model),
    )


def write(
    adata: AnnData,
    result: Mapped,
    key: str,
    novelty: np.ndarray,
    threshold: float,
    parameters: dict[str, Any],
) -> None:
    """Write a mapping into its cells.

    Parameters
    ----------
    adata
        Cells.
    result
        What is said about them.
    key
        Prefix of the keys.
    novelty, threshold
        Novelty of every cell, and what it must exceed.
    parameters
        What is kept in ``uns``.
    """
    keys, labels = Keys(key), result.labels.set_axis(adata.obs_names)
    probs = labels.to_numpy()
    adata.obsm[keys.latent] = result.latent
    adata.obsm[keys.probs] = labels.set_axis(column_names(labels.columns), axis=1)
    adata.obs[keys.cluster] = pd.Categorical(
        labels.columns.to_numpy()[probs.argmax(1)], categories=labels.columns
    )
    adata.obs[keys.component] = pd.Categorical(result.components)
    adata.obs[keys.confidence] = probs.max(1)
    adata.obs[keys.entropy] = -xlogy(probs, probs).sum(1)
    adata.obs[keys.novelty] = novelty
    adata.obs[keys.novel] = novelty > threshold
    adata.uns[keys.params] = {
        **result.record,
        **parameters,
        "threshold": threshold,
    }
    adata.uns.pop(f"{keys.cluster}_colors", None)


def join(reference: AnnData, query: AnnData, key: str) -> AnnData:
    """Reference and query in one object, with the genes that they share.

    Columns of ``obs`` that only one of them has are missing for the other's cells.

    Parameters
    ----------
    reference, query
        Annotated cells.
    key
        Prefix of the mapping's keys.
    """
    keys = Keys(key)
    joined = ad.concat(
        {"reference": reference, "query": query},
        join="inner",
        label=keys.origin,
        index_unique="-" if set(reference.obs_names) & set(query.obs_names) else None,
    )
    for name in [*reference.obs.columns, *query.obs.columns]:
        if name in joined.obs or name.startswith("_scvi"):
            continue
        parts = [
            part.obs[name] if name in part.obs else pd.Series(np.nan, part.obs_names, dtype=object)
            for part in (reference, query)
        ]
        whole = pd.Series(np.concatenate([np.asarray(part, dtype=object) for part in parts]))
        there = next(part.obs[name] for part in (reference, query) if name in part.obs)
        number = pd.api.types.is_numeric_dtype(there) and there.dtype != bool
        joined.obs[name] = whole.astype(float if number else "category").to_numpy()
        if not number:
            joined.obs[name] = joined.obs[name].astype("category")
    joined.uns[keys.params] = query.uns[keys.params]
    return joined
