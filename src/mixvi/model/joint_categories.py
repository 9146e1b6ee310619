"""Categorical covariates whose codes follow their names."""

from __future__ import annotations

from typing import Any

from anndata import AnnData
from scvi.data import fields

__all__ = ["JointCategories"]


class JointCategories(fields.CategoricalJointObsField):
    """Further covariates of new cells get the codes that the model knows them by.

    To pandas two unordered categorical types with the same categories are equal, whatever their
    order: casting from one to the other leaves the codes as they are, and scvi-tools reads the
    cells of one site as those of another.
    """

    def _make_array_categorical(
        self, adata: AnnData, category_dict: dict[str, list[str]] | None = None
    ) -> dict[str, Any]:
        if category_dict is not None:
            frame = getattr(adata, self.attr_name)[self.attr_key]
            for key in self.attr_keys:
                frame[key] = frame[key].astype(object)
        return super()._make_array_categorical(adata, category_dict)
