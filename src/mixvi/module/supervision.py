"""What known labels add to the objective."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from scvi import REGISTRY_KEYS
from scvi.module.base import BaseMinifiedModeModuleClass
from torch import Tensor

from mixvi._compat import MODULE_KEYS
from mixvi.priors import LatentPrior
from mixvi.priors.mixture import at_label

__all__ = ["SupervisionMixin"]


class SupervisionMixin(BaseMinifiedModeModuleClass):
    """Labels of a mini-batch, and how badly they are recognized."""

    prior: LatentPrior
    n_labels: int
    class_weights: Tensor
    label_rates: Tensor | None = None  # share of every label's cells that show it in an epoch

    def known_labels(self, tensors: dict[str, Tensor]) -> Int[Tensor, " cells"] | None:
        """Label of every cell, −1 where it is not known, or not shown in this step."""
        if not self.n_labels:
            return None
        labels = tensors[REGISTRY_KEYS.LABELS_KEY].flatten().long()
        labels = torch.where(labels < self.n_labels, labels, -1)
        if self.training and self.label_rates is not None:
            rates = self.label_rates.to(labels.device)[labels]
            labels = torch.where(torch.rand_like(rates) < rates, labels, -1)
        return labels

    def _classification(
        self, inference_outputs: dict[str, Any], labels: Int[Tensor, " cells"]
    ) -> Float[Tensor, ""]:
        """Mean over the mini-batch of −w log q(y = label), 0 for cells without a label."""
        logits = self._class_logits(inference_outputs)
        own = at_label(logits, labels, self.prior.components_per_label)
        losses = logits.logsumexp(-1) - own.logsumexp(-1)
        return (self.class_weights[labels] * losses).mean()

    def _class_logits(self, inference_outputs: dict[str, Any]) -> Float[Tensor, "cells K"]:
        """Logits of the recognition of y that labels teach."""
        qz, z = inference_outputs[MODULE_KEYS.QZ_KEY], inference_outputs[MODULE_KEYS.Z_KEY]
        return self.prior.recognition(qz, z, inference_outputs["c"]).logits
