"""Embeddings of several batches in one space: mixvi's and its peers', with and without labels."""

from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import scvi

from benchmarks import peers, peers_scarches
from benchmarks.data import LABEL
from benchmarks.labels import UNKNOWN, train_scanvi, with_labels
from benchmarks.peers import Embedding

BATCH = "batch"
SCVI_EPOCHS = 100  # of SysVI, too
SYSVI = {"kl_weight": 1.0, "z_distance_cycle_weight": 5.0}
INDEPENDENCE = 200.0  # of 20, 60 and 200, looked at on this set; the models' default is 0

Method = Callable[[ad.AnnData, np.ndarray, int], Embedding]


def harmony(adata: ad.AnnData, known: np.ndarray, seed: int) -> Embedding:
    """Harmony on 50 principal components."""
    import harmonypy

    whole = peers.pca(adata, seed, scaled=False)
    found = harmonypy.run_harmony(whole.z, adata.obs, BATCH, random_state=seed, verbose=False)
    z = np.asarray(found.Z_corr)
    return Embedding(z if len(z) == adata.n_obs else z.T, whole.parameters)


def sysvi(adata: ad.AnnData, known: np.ndarray, seed: int) -> Embedding:
    """SysVI on log-normalized genes: VampPrior and cycle consistency between the batches."""
    scvi.settings.seed = seed
    cells = ad.AnnData(adata.layers["lognorm"].toarray(), obs=adata.obs[[BATCH]].copy())
    scvi.external.SysVI.setup_anndata(cells, batch_key=BATCH)
    model = scvi.external.SysVI(cells)
    model.train(max_epochs=SCVI_EPOCHS, plan_kwargs=SYSVI, enable_progress_bar=False)
    return Embedding(model.get_latent_representation(), {"max_epochs": SCVI_EPOCHS, **SYSVI})


def scanvi(adata: ad.AnnData, known: np.ndarray, seed: int) -> Embedding:
    """SCANVI, which clusters by its predictions."""
    model = train_scanvi(adata, known, seed)
    return Embedding(model.get_latent_representation(), clusters=np.asarray(model.predict()))


def scpoli(adata: ad.AnnData, known: np.ndarray, seed: int) -> Embedding:
    """scPoli, which clusters by its predictions."""
    labels = np.where(known, adata.obs[LABEL].astype(str), UNKNOWN)
    cells = peers.counts(adata)
    model = peers_scarches.scpoli(cells, labels, seed)
    clusters, _ = peers_scarches.classified(model, cells)
    return Embedding(peers_scarches.latent(model, cells), dict(peers_scarches.SCPOLI), clusters)


def mixvi(model_name: str, *, labels: bool = False, **options: Any) -> Method:
    """One of mixvi's models with its default recipe."""

    def run(adata: ad.AnnData, known: np.ndarray, seed: int) -> Embedding:
        import mixvi.model

        scvi.settings.seed = seed
        cells = with_labels(adata, known)
        cls = getattr(mixvi.model, model_name)
        of_labels = {"labels_key": "label", "unlabeled_category": UNKNOWN} if labels else {}
        cls.setup_anndata(cells, batch_key=BATCH, **of_labels)
        model = cls(cells, **{"n_components": "auto", **options})
        model.train(enable_progress_bar=False)
        return Embedding(
            model.get_latent_representation(),
            {"model": model_name, **options},
            np.asarray(model.predict()),
        )

    return run


METHODS: dict[str, Method] = {
    "pca": lambda adata, known, seed: peers.pca(adata, seed, scaled=False),
    "harmony": harmony,
    "scvi": lambda adata, known, seed: peers.scvi_latent(adata, seed, SCVI_EPOCHS),
    "sysvi": sysvi,
    "drvi": lambda adata, known, seed: peers.drvi(adata, seed),
    "cgmdvae": mixvi("CGMDVAE"),
    "rmve": mixvi("RMVE"),
    "cgmdvae_independent": mixvi("CGMDVAE", independence_weight=INDEPENDENCE),
    "rmve_independent": mixvi("RMVE", independence_weight=INDEPENDENCE),
    "scanvi_labels": scanvi,
    "scpoli_labels": scpoli,
    "cgmdvae_labels": mixvi("CGMDVAE", labels=True),
    "rmve_labels": mixvi("RMVE", labels=True),
    "cgmdvae_independent_labels": mixvi("CGMDVAE", labels=True, independence_weight=INDEPENDENCE),
    "rmve_independent_labels": mixvi("RMVE", labels=True, independence_weight=INDEPENDENCE),
}
