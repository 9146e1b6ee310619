"""What a query must bring of what its reference was set up with."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from anndata import AnnData
from scvi import REGISTRY_KEYS

from .checks import check_columns, listing

__all__ = ["check_query", "registry_for"]

UNLABELED = "unlabeled"


def registry_for(reference: Any) -> dict[str, Any]:
    """The reference's registry, with a category for cells without a label.

    A query may come without labels even where every cell of the reference had one.

    Parameters
    ----------
    reference
        Trained model.
    """
    registry = deepcopy(reference.registry_)
    setup = registry["setup_args"]
    if setup.get("labels_key") is not None and setup.get("unlabeled_category") is None:
        setup["unlabeled_category"] = UNLABELED
        state = registry["field_registries"][REGISTRY_KEYS.LABELS_KEY]["state_registry"]
        state["categorical_mapping"] = np.append(
            np.asarray(state["categorical_mapping"], dtype=object), UNLABELED
        )
    return registry


def check_query(adata: AnnData, setup: dict[str, Any], labels: list[str]) -> None:
    """Check that a query has what the reference was set up with, but for labels.

    Parameters
    ----------
    adata
        Query.
    setup
        Arguments of the reference's ``setup_anndata``.
    labels
        Labels that the reference knows.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If a column has missing values, or there are labels that the reference lacks.
    """
    keys = [setup.get("batch_key"), setup.get("condition_key")]
    keys += setup.get("categorical_covariate_keys") or []
    labels_key, unlabeled = setup.get("labels_key"), str(setup.get("unlabeled_category"))
    if labels_key in adata.obs:
        keys.append(labels_key)
    size_factor = setup.get("size_factor_key")
    check_columns(
        adata,
        [key for key in keys if key is not None],
        numeric=setup.get("continuous_covariate_keys") or [],
        positive=[size_factor] if size_factor is not None else [],
    )
    if labels_key in adata.obs:
        known = {*labels, unlabeled}
        foreign = [name for name in adata.obs[labels_key].astype(str).unique() if name not in known]
        if foreign:
            raise ValueError(
                f"expected labels of the reference in adata.obs[{labels_key!r}] "
                f"({listing(labels)}), found {listing(foreign)}; rename the column (mapping does "
                f"not need it), or set these cells to {unlabeled!r}"
            )
