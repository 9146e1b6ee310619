"""Known labels: the components that are tied to them, and how much each of them weighs."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from scvi import REGISTRY_KEYS

from mixvi._keys import writable
from mixvi._numbers import check_at_least

from .posterior import PosteriorMixin

__all__ = ["ClassWeights", "LabelsMixin", "check_components_per_label"]

ClassWeights = Literal["balanced"] | dict[str, float] | None


def check_components_per_label(components_per_label: int) -> None:
    """Check that every label gets at least one component.

    Raises
    ------
    TypeError, ValueError
        If not.
    """
    if not isinstance(components_per_label, numbers.Integral):
        raise TypeError(
            f"expected components_per_label to be a whole number, found {components_per_label!r}"
        )
    if components_per_label < 1:
        raise ValueError(
            f"expected components_per_label of at least 1, found {components_per_label}"
        )


class LabelsMixin(PosteriorMixin):
    """Names of what is tied to labels, and the labels' weights."""

    balances_: bool = False

    def _name_components(
        self, labels: list[str], n_free: int, components_per_label: int = 1
    ) -> None:
        """Components are called by their label or ``novel_1``, …; by numbers without labels."""
        if not labels:
            free = [str(i) for i in range(n_free)]
        else:
            free = [f"novel_{i}" for i in range(1, n_free + 1)]
        if unwritable := [name for name in labels if not writable(name)]:
            raise ValueError(
                f"expected labels that a file can hold as names, found {unwritable[0]!r}; rename "
                "the label"
            )
        if taken := sorted(set(labels) & set(free)):
            raise ValueError(
                f"expected labels other than {taken[0]!r}, found it among them: components without "
                "a label are called so; rename the label"
            )
        tied = labels
        if components_per_label > 1:
            tied = [f"{x}_{i}" for x in labels for i in range(1, components_per_label + 1)]
        self.component_names_, self.cluster_names_ = tied + free, labels + free
        of_tied = [i // components_per_label for i in range(len(tied))]
        self.cluster_of_component_ = of_tied + [len(labels) + i for i in range(n_free)]

    def _set_class_weights(self, class_weights: ClassWeights) -> None:
        """Check the weights of the labels, and give them to the module."""
        self.balances_ = class_weights == "balanced"
        if class_weights is None or self.balances_:
            return
        if not isinstance(class_weights, Mapping):
            raise ValueError(
                f"expected class_weights None, 'balanced' or a dict, found {class_weights!r}"
            )
        labels = self._known_labels()
        if unknown := sorted(set(class_weights) - set(labels)):
            raise ValueError(
                f"expected class_weights of {', '.join(map(repr, labels)) or 'no labels'}, found "
                f"{unknown[0]!r}; give the names that labels_key has"
            )
        weights = torch.tensor([float(class_weights.get(label, 1.0)) for label in labels])
        if not ((weights >= 0) & weights.isfinite()).all():
            raise ValueError(
                f"expected class_weights of at least 0, found {min(class_weights.values())}"
            )
        self.module.class_weights.copy_(weights)

    def _label_counts(self, datamodule: Any) -> np.ndarray:
        """Number of cells of every label."""
        if datamodule is None:
            codes = self.adata_manager.get_from_registry(REGISTRY_KEYS.LABELS_KEY).ravel()
        else:
            loader = datamodule.train_dataloader()
            codes = torch.cat([batch[REGISTRY_KEYS.LABELS_KEY].ravel() for batch in loader])
            codes = codes.cpu().numpy()
        n_labels = self.module.n_labels
        return np.bincount(codes.astype(int), minlength=n_labels)[:n_labels]

    def _balance_labels(self, datamodule: Any) -> None:
        """Weigh labels inversely to their cells; the mean over labeled cells is 1."""
        counts = self._label_counts(datamodule)
        weights = counts.sum() / (max(np.count_nonzero(counts), 1) * counts.clip(min=1))
        self.module.class_weights.copy_(torch.as_tensor(weights))

    def _thin_labels(self, n_samples_per_label: int | None, datamodule: Any) -> None:
        """Let an epoch see so many cells of every label with it, others without."""
        self.module.label_rates = None
        if n_samples_per_label is None:
            return
        check_at_least(1, n_samples_per_label=n_samples_per_label)
        if not self.module.n_labels:
            raise ValueError(
                f"expected labels with n_samples_per_label={n_samples_per_label}, found none "
                "registered; pass labels_key to setup_anndata, or leave it out"
            )
        counts = self._label_counts(datamodule).clip(min=1)
        rates = (n_samples_per_label / counts).clip(max=1)
        self.module.label_rates = torch.as_tensor(rates, dtype=torch.float32)
