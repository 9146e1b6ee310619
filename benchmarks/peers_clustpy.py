"""Deep clustering with K given: VaDE and IDEC of clustpy."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import anndata as ad
import numpy as np
import scanpy as sc
import torch

from benchmarks.peers import Embedding

EPOCHS = 50
TORCHVISION = ("torchvision", "torchvision.models", "torchvision.models._api")


def clustpy(
    adata: ad.AnnData,
    seed: int,
    model_name: str,
    n_clusters: int,
    pretrain_epochs: int = EPOCHS,
    clustering_epochs: int = EPOCHS,
) -> Embedding:
    """Latent space and clusters of VaDE or IDEC, layers 500–500–2000–10 as in their papers.

    Parameters
    ----------
    adata
        Prepared cells, log-normalized in ``layers["lognorm"]``.
    seed
        Seed of weights, batches and starts.
    model_name
        ``"VaDE"`` (genes brought to [0, 1], Bernoulli likelihood: the defaults) or ``"IDEC"``
        (genes of unit variance, clipped at 10; squared error: the default).
    n_clusters
        The true number.
    pretrain_epochs, clustering_epochs
        Budget; clustpy's defaults, 100 and 150, take ten minutes for 4,000 cells on one core.
    """
    with without_torchvision():
        from clustpy import deep

    torch.manual_seed(seed)
    x = features(adata, model_name)
    model = getattr(deep, model_name)(
        n_clusters=n_clusters,
        pretrain_epochs=pretrain_epochs,
        clustering_epochs=clustering_epochs,
        device="cpu",
        random_state=seed,
    )
    model.fit(x)
    parameters = {
        "model": model_name,
        "pretrain_epochs": pretrain_epochs,
        "clustering_epochs": clustering_epochs,
        "layers": [500, 500, 2000, model.embedding_size],
        "input": "genes in [0, 1]" if model_name == "VaDE" else "genes of unit variance",
    }
    return Embedding(np.asarray(model.transform(x)), parameters, np.asarray(model.labels_))


def features(adata: ad.AnnData, model_name: str) -> np.ndarray:
    """Log-normalized expression ``(n_cells, n_genes)`` on the scale that the model expects."""
    x = adata.layers["lognorm"].toarray()
    if model_name == "VaDE":
        return x / np.maximum(x.max(0), 1e-6)
    return sc.pp.scale(x, max_value=10)


@contextmanager
def without_torchvision() -> Iterator[None]:
    """Let clustpy be imported where torchvision is not: only its networks for images use it.

    The torchvision of PyPI needs a torch with CUDA; beside a torch for CPUs it breaks every
    package that looks for it. So it is better left out, and stands in here as empty modules.
    """
    try:
        import torchvision  # noqa: F401
    except ImportError:
        stand_in: dict[str, Any] = {name: ModuleType(name) for name in TORCHVISION}
        stand_in[TORCHVISION[-1]].Weights = stand_in[TORCHVISION[-1]].WeightsEnum = object
        sys.modules.update(stand_in)
        try:
            yield
        finally:
            for name in TORCHVISION:
                del sys.modules[name]
    else:
        yield
