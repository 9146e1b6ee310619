"""Annotated cells without a training: everything that a run writes."""

from dataclasses import asdict

import anndata as ad
import numpy as np
import pandas as pd
import torch
from scipy import sparse

from mixvi.priors import merge_tree

EPOCHS = 60


def annotated(n_obs=300, *, names=("T", "B", "NK"), n_genes=40, key="cgmdvae", rng=0):
    """Cells in well separated clusters; gene ``g{k}`` marks cluster k."""
    rng = np.random.default_rng(rng)
    codes = np.arange(n_obs) % len(names)
    latent = rng.normal(size=(n_obs, 4)) + 8 * np.eye(len(names), 4)[codes]
    rate = np.full((n_obs, n_genes), 0.4)
    rate[np.arange(n_obs), codes] = 9
    probs = np.full((n_obs, len(names)), 0.05 / max(len(names) - 1, 1))
    probs[np.arange(n_obs), codes] = 0.95
    novelty = rng.normal(10, 2, n_obs)
    obs = pd.DataFrame(
        {
            key: pd.Categorical.from_codes(codes, list(names)),
            f"{key}_confidence": probs.max(1),
            f"{key}_entropy": 0.2,
            f"{key}_novelty": novelty,
            f"{key}_novel": novelty > 14,
            "cell_type": np.array([f"type {name}" for name in names], dtype=object)[codes],
            "donor": rng.choice(["d1", "d2"], n_obs),
        },
        index=[f"cell{i}" for i in range(n_obs)],
    )
    adata = ad.AnnData(
        sparse.csr_matrix(rng.poisson(rate).astype(np.float32)),
        obs=obs,
        var=pd.DataFrame(index=[f"g{j}" for j in range(n_genes)]),
        obsm={
            f"X_{key}": latent.astype(np.float32),
            f"{key}_probs": pd.DataFrame(probs, index=obs.index, columns=list(names)),
            "X_umap": (latent[:, :2] + 0.3 * rng.normal(size=(n_obs, 2))).astype(np.float32),
        },
    )
    falling = 300 + 500 * np.exp(-np.arange(EPOCHS) / 4)
    mixture = np.where(np.arange(EPOCHS) < 30, np.nan, 2.0)
    adata.uns[key] = {
        "model": "CGMDVAE",
        "params": {"n_components": "auto", "n_latent": 4, "gene_likelihood": "nb"},
        "setup": {"batch_key": "donor", "labels_key": "cell_type"},
        "n_genes": n_genes,
        "history": {
            "elbo_train": falling,
            "elbo_validation": falling + 9,
            "kl_y_train": mixture,
            "kl_y_validation": mixture,
        },
        "max_epochs": EPOCHS,
        "novelty_threshold": 14.0,
        "false_alarm_rate": 0.05,
        "call": "mixvi.tl.cgmdvae(adata, batch_key='donor', rng=0)",
        "date": "2026-03-01T12:30:00+00:00",
        "versions": {"mixvi": "0.1.0"},
    }
    return adata


def add_tree(adata, per_cluster=3, key="cgmdvae"):
    """Merge components to the clusters of ``annotated``; returns the tree."""
    names = [str(name) for name in adata.obs[key].cat.categories]
    rng = np.random.default_rng(1)
    owners = np.repeat(np.arange(len(names)), per_cluster)
    place = 8 * np.eye(len(names), 4)[owners] + rng.normal(0, 0.8, (len(owners), 4))
    share = torch.as_tensor(rng.dirichlet(np.full(len(owners), 5.0)))
    tree = merge_tree(share, torch.as_tensor(place), torch.full(place.shape, 0.5).double())
    found = tree.cut(len(names))
    assert len({*zip(owners.tolist(), found.tolist(), strict=True)}) == len(names)
    heights = tree.linkage()[:, 2]
    n_merges = len(owners) - len(names)
    adata.uns[key] |= {
        "components": np.array([f"c{k}" for k in range(len(owners))], dtype=object),
        "weights": tree.weights,
        "cluster_of_component": np.array(names, dtype=object)[owners],
        "tree": asdict(tree),
        "threshold": float(heights[max(n_merges - 1, 0) : n_merges + 1].mean()),
    }
    return tree
