"""Naming the circumstances that cells are to be shown under."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scvi import REGISTRY_KEYS
from torch import Tensor

from mixvi.module import CONDITION_KEY, MixtureVAE

from .checks import listing
from .registration import RegistrationMixin

__all__ = ["TargetMixin"]


class TargetMixin(RegistrationMixin):
    """Targets of a counterfactual, from names to codes."""

    module: MixtureVAE

    def _covariate_keys(self) -> list[tuple[str, np.ndarray]]:
        """``obs`` columns of the categorical covariates and their categories.

        Numbered as :meth:`mixvi.module.Covariates.with_category` does; a column that was not
        registered has the name ``""``.
        """
        setup = self.registry_["setup_args"]
        keys = [
            (setup.get("batch_key") or "", self._categories(REGISTRY_KEYS.BATCH_KEY)),
            (setup.get("condition_key") or "", self._categories(CONDITION_KEY)),
        ]
        registries = self.registry_["field_registries"]
        state = registries.get(REGISTRY_KEYS.CAT_COVS_KEY, {}).get("state_registry", {})
        mappings = state.get("mappings", {})
        return keys + [(key, np.asarray(mappings[key])) for key in state.get("field_keys", ())]

    def _target_codes(self, target: Mapping[str, str]) -> dict[int, int]:
        """Number of each named covariate → code of its category.

        Raises
        ------
        TypeError
            If ``target`` is no mapping.
        ValueError
            If it is empty, a value is missing, or a category was not in the training data.
        KeyError
            If a column was not registered.
        """
        if not isinstance(target, Mapping):
            raise TypeError(
                "expected a mapping from a registered column to a category, for example "
                f"{{'stim': 'stimulated'}}, found {target!r}"
            )
        registered = [(i, key, names) for i, (key, names) in enumerate(self._covariate_keys())]
        known = {key: (i, names) for i, key, names in registered if key}
        if not known:
            raise ValueError(
                "expected a model with conditions, found none registered; set condition_key (or "
                "batch_key, categorical_covariate_keys) in setup_anndata and train again"
            )
        if not target:
            raise ValueError(
                f"expected a target category of one of {listing(known)}, found an empty mapping; "
                "name one"
            )
        codes = {}
        for key, category in target.items():
            if key not in known:
                raise KeyError(
                    f"expected a categorical column that setup_anndata registered "
                    f"({listing(known)}), found {key!r}; name one of them, or register the column "
                    "and train again"
                )
            index, names = known[key]
            matches = np.flatnonzero(np.asarray([str(name) for name in names]) == str(category))
            if not len(matches):
                raise ValueError(
                    f"expected a category of {key!r} that the model was trained on "
                    f"({listing(names)}), found {category!r}; a model cannot show what it has "
                    "never seen"
                )
            codes[index] = int(matches[0])
        return codes

    def _unseen_by_decoder(self, codes: Mapping[int, int]) -> str | None:
        """Name of a covariate of a target that is not among c."""
        sizes = self.module.covariates.sizes
        names = self._named(codes)
        unseen = [key for index, key in zip(codes, names, strict=True) if sizes[index] == 1]
        return unseen[0] if unseen else None

    def _moved(self, c: Tensor, codes: Mapping[int, int]) -> Tensor:
        """Covariates with the named ones at given codes."""
        for covariate, code in codes.items():
            c = self.module.covariates.with_category(c, covariate, code)
        return c

    def _codes(self, tensors: Mapping[str, Tensor]) -> np.ndarray:
        """Categories of all categorical covariates of a mini-batch, cells × covariates."""
        columns = [tensors[REGISTRY_KEYS.BATCH_KEY], tensors[CONDITION_KEY]]
        if self.module.covariates.n_cats_per_cov:
            columns.append(tensors[REGISTRY_KEYS.CAT_COVS_KEY])
        return torch.cat([column.cpu().long() for column in columns], -1).numpy()

    def _named(self, codes: Mapping[int, int]) -> dict[str, str]:
        """Names of columns and categories of codes."""
        keys = self._covariate_keys()
        return {keys[i][0]: str(keys[i][1][code]) for i, code in codes.items()}
