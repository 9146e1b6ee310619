"""scGen and scPoli, as scArches has them."""

from types import ModuleType
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scvi

from benchmarks.data import LABEL
from benchmarks.labels import UNKNOWN

BATCH, TYPE, CONDITION = "batch", "cell_type", "condition"
# the settings of scArches' own tutorials
SCGEN = {"hidden_layer_sizes": [256, 128]}
SCGEN_TRAINING = {
    "n_epochs": 100,
    "early_stopping_kwargs": {"early_stopping_metric": "val_loss", "patience": 20, "threshold": 0},
}
SCPOLI = {"embedding_dims": 5, "n_epochs": 50, "pretraining_epochs": 40, "eta": 5}
QUERY = {"n_epochs": 50, "pretraining_epochs": 40, "eta": 10}


def scarches() -> ModuleType:
    """The package; 0.6.1 asks anndata for a name that is gone."""
    ad.read = ad.read_h5ad  # type: ignore[attr-defined]
    import scarches

    return scarches


def scgen(train: ad.AnnData, held_out: str, seed: int) -> np.ndarray:
    """Add the mean shift of all other cells in the latent space to the type's control cells."""
    scvi.settings.seed = seed
    cells = ad.AnnData(train.layers["lognorm"].toarray(), obs=train.obs.copy(), var=train.var)
    model = scarches().models.scgen(cells, **SCGEN)
    model.train(**SCGEN_TRAINING)
    conditions = {"ctrl": "control", "stim": "stimulated"}
    profiles, _ = model.predict(
        cells, conditions, cell_type_key=TYPE, condition_key=CONDITION, celltype_to_predict=held_out
    )
    return np.asarray(profiles).mean(0)


def scpoli(cells: ad.AnnData, labels: np.ndarray, seed: int) -> Any:
    """A trained scPoli.

    Parameters
    ----------
    cells
        Counts, ``obs["batch"]``.
    labels
        Of every cell, :data:`benchmarks.labels.UNKNOWN` where it is not known.
    seed
        Seed.
    """
    scvi.settings.seed = seed
    known = _dense(cells, labels)
    model = scarches().models.scPoli(
        known,
        condition_keys=BATCH,
        cell_type_keys=LABEL,
        unknown_ct_names=[UNKNOWN],
        labeled_indices=np.flatnonzero(labels != UNKNOWN).tolist(),
        embedding_dims=SCPOLI["embedding_dims"],
        recon_loss="nb",
    )
    model.train(
        n_epochs=SCPOLI["n_epochs"],
        pretraining_epochs=SCPOLI["pretraining_epochs"],
        eta=SCPOLI["eta"],
    )
    return model


def latent(model: Any, cells: ad.AnnData) -> np.ndarray:
    """Means of q(z | x)."""
    return model.get_latent(_dense(cells, np.full(cells.n_obs, UNKNOWN)), mean=True)


def transfer(reference: ad.AnnData, query: ad.AnnData, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the query, which scPoli is fine-tuned on, and their uncertainty."""
    model = scpoli(reference, reference.obs[LABEL].astype(str).to_numpy(), seed)
    new = _dense(query, np.full(query.n_obs, UNKNOWN))
    mapped = type(model).load_query_data(
        adata=new, reference_model=model, labeled_indices=[], unknown_ct_names=[UNKNOWN]
    )
    mapped.train(**QUERY)
    return classified(mapped, query)


def classified(model: Any, cells: ad.AnnData) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and their uncertainty."""
    found = model.classify(_dense(cells, np.full(cells.n_obs, UNKNOWN)))[LABEL]
    return np.asarray(found["preds"]).astype(str), np.asarray(found["uncert"]).ravel()


def _dense(cells: ad.AnnData, labels: np.ndarray) -> ad.AnnData:
    X = cells.X if isinstance(cells.X, np.ndarray) else cells.X.toarray()
    obs = pd.DataFrame(
        {BATCH: cells.obs[BATCH].astype(str).to_numpy(), LABEL: labels.astype(str)},
        index=cells.obs_names,
    )
    return ad.AnnData(X.astype(np.float32), obs=obs, var=cells.var)
