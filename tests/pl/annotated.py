"""Annotated cells with merged components, without a model."""

import anndata as ad
import numpy as np
import pandas as pd

NAMES = ["T", "B", "NK"]
OWNERS = ["T", "T", "B", "NK"]


def annotated(n=120):
    """Four components in three clusters; the first two belong together."""
    rng = np.random.default_rng(0)
    codes = rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    q = rng.dirichlet(np.ones(4), n) * 0.4
    q[np.arange(n), codes] += 0.6
    probs = np.c_[q[:, 0] + q[:, 1], q[:, 2], q[:, 3]]
    names = [f"cell{i}" for i in range(n)]
    novelty = rng.normal(10, 2, n)
    obs = pd.DataFrame(
        {
            "cgmdvae": pd.Categorical.from_codes(probs.argmax(1), NAMES),
            "cgmdvae_component": pd.Categorical.from_codes(q.argmax(1), list("0123")),
            "cgmdvae_confidence": probs.max(1),
            "cgmdvae_novelty": novelty,
            "cgmdvae_novel": novelty > 13,
            "cgmdvae_origin": np.where(np.arange(n) % 3 > 0, "reference", "query"),
            "age": rng.uniform(20, 90, n),
        },
        index=names,
    )
    curve = 100 + 900 * np.exp(-np.arange(50) / 5)
    late = np.where(np.arange(50) < 20, np.nan, 2.0)
    return ad.AnnData(
        obs=obs,
        obsm={
            "X_umap": rng.normal(size=(n, 2)) + 6 * np.eye(4, 2)[codes],
            "X_cgmdvae_w": rng.normal(size=(n, 3)) * [1.0, 0.01, 2.0],
            "cgmdvae_probs": pd.DataFrame(probs, names, NAMES),
            "cgmdvae_component_probs": pd.DataFrame(q, names, list("0123")),
        },
        uns={
            "cgmdvae": {
                "components": np.array(list("0123"), dtype=object),
                "weights": q.mean(0),
                "cluster_of_component": np.array(OWNERS, dtype=object),
                "history": {
                    "elbo_train": curve,
                    "elbo_validation": curve + 5,
                    "kl_y_train": late,
                    "kl_y_validation": late,
                },
                "novelty_threshold": 13.0,
                "false_alarm_rate": 0.05,
            },
            "cgmdvae_colors": ["#ff0000", "#00ff00", "#0000ff"],
        },
    )
