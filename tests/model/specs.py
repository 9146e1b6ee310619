"""Every model of the family, small, and the cells that the contract suite shows them."""

from dataclasses import dataclass, field
from typing import Any

from mixvi import datasets
from mixvi.model import CGMDVAE, RMVE


@dataclass(frozen=True)
class Spec:
    """A model class and how it is made in the contract suite."""

    cls: type
    setup: dict[str, Any]
    init: dict[str, Any] = field(default_factory=dict)

    def make(self, adata, **init):
        self.cls.setup_anndata(adata, **self.setup)
        return self.cls(adata, **{"n_components": 3, "n_hidden": 32, **self.init, **init})


SPECS = {
    "CGMDVAE": Spec(CGMDVAE, {"batch_key": "batch", "condition_key": "condition"}),
    "CGMDVAE-full": Spec(
        CGMDVAE,
        {"categorical_covariate_keys": ["batch"], "condition_key": "condition"},
        {
            "conditioning": "full",
            "style_prior": "learned",
            "dirichlet": "network",
            "assignment": "network",
        },
    ),
    "CGMDVAE-labels": Spec(
        CGMDVAE,
        {"batch_key": "batch", "labels_key": "labels", "unlabeled_category": "unknown"},
        {
            "dirichlet": "global",
            "n_style": 0,
            "n_components": 8,
            "components_per_label": 2,
            "class_weights": "balanced",
        },
    ),
    "CGMDVAE-auto": Spec(CGMDVAE, {"batch_key": "batch"}, {"n_components": "auto"}),
    "RMVE": Spec(RMVE, {"batch_key": "batch", "condition_key": "condition"}),
    "RMVE-labels": Spec(
        RMVE,
        {"batch_key": "batch", "labels_key": "labels", "unlabeled_category": "unknown"},
        {"assignment": "network", "covariance": "diag", "n_components": 4, "repulsion": "mmd"},
    ),
    "RMVE-draft": Spec(
        RMVE,
        {"batch_key": "batch", "condition_key": "condition"},
        {
            "encoder": "y_conditional",
            "covariance": "unit",
            "repulsion": "hellinger",
            "conditioning": "partial",
        },
    ),
    "VAE": Spec(RMVE, {"batch_key": "batch"}, {"n_components": 1, "covariance": "unit"}),
}

QUICK = {"max_epochs": 4, "accelerator": "cpu", "enable_progress_bar": False, "batch_size": 64}


def cells(n_obs=240, rng=0):
    adata = datasets.simulate(
        n_obs, 60, n_components=3, n_batches=2, n_conditions=2, depth=300, rng=rng
    )
    labels = adata.obs["component"].astype(str)
    labels.iloc[::3] = "unknown"
    adata.obs["labels"] = labels.astype("category")
    return adata
