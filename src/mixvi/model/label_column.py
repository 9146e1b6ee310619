"""The column of known labels, which cells that are asked about need not have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scvi.data import fields

__all__ = ["LabelColumn"]


class LabelColumn(fields.LabelsWithUnlabeledObsField):
    """Labels to learn from.

    Of cells that come later the model wants to say what they are: without the column, without a
    value or with one that it does not know, they are cells without a label. scvi-tools would refuse
    them.

    Parameters
    ----------
    registry_key
        Name under which the model reads it.
    obs_key
        Column of ``obs``.
    unlabeled_category
        Category of cells without a label; ``None`` if every cell to learn from has one.
    """

    def __init__(self, registry_key: str, obs_key: str, unlabeled_category: str | None):
        super().__init__(registry_key, obs_key, unlabeled_category)

    def register_field(self, adata: AnnData) -> dict[str, Any]:
        """Code the column of the cells to learn from; that without a label is the last."""
        if self._unlabeled_category is not None:
            return super().register_field(adata)
        return fields.CategoricalObsField.register_field(self, adata)

    def validate_field(self, adata: AnnData) -> None:
        """Nothing to ask for: :meth:`setup_anndata` has looked at the cells to learn from."""

    def transfer_field(
        self, state_registry: dict[str, Any], adata_target: AnnData, **kwargs: Any
    ) -> dict[str, Any]:
        """Code the column of other cells, as far as there is one, as that of the first."""
        labels = pd.Index(state_registry[self.CATEGORICAL_MAPPING_KEY])
        unlabeled = len(labels) - (self._unlabeled_category is not None)
        codes = np.full(adata_target.n_obs, -1)
        if self._original_attr_key in adata_target.obs:
            codes = labels.get_indexer(adata_target.obs[self._original_attr_key].to_numpy())
        adata_target.obs[self.attr_key] = np.where(codes < 0, unlabeled, codes)
        return dict(state_registry)
