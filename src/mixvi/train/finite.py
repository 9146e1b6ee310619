"""A run whose loss is no number any more."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from scvi import REGISTRY_KEYS
from torch import Tensor

from mixvi.distributions.sparse import is_sparse

__all__ = ["StopAtNaN"]

EVERY = 50  # steps between two looks where looking makes a device wait


class StopAtNaN(Callback):
    """Stop at the first loss that is not finite, and say where it comes from.

    Values of the mini-batch are no numbers; or weights are none any more, then the step before was
    too large; or both are, and it is something in between. On the CPU every step is looked at; on
    a GPU every fiftieth, since looking waits for it.
    """

    def __init__(self) -> None:
        self._where: tuple[dict[str, Tensor], int] | None = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        """Remember the mini-batch."""
        self._where = batch, batch_idx

    def on_before_backward(self, trainer: Trainer, pl_module: Any, loss: Tensor) -> None:
        """Look at the loss.

        Raises
        ------
        FloatingPointError
            If it is not finite.
        """
        if self._where is None or (loss.device.type != "cpu" and trainer.global_step % EVERY):
            return
        if torch.isfinite(loss):
            return
        batch, i = self._where
        x = batch[REGISTRY_KEYS.X_KEY]
        values = x.values() if is_sparse(x) else x
        broken = [
            name
            for name, weight in pl_module.module.named_parameters()
            if not torch.isfinite(weight).all()
        ]
        if not torch.isfinite(values).all():
            cause = "the mini-batch holds values that are not finite"
        elif broken:
            cause = f"the weights {broken[0]!r} are not finite, so the step before was too large"
        else:
            cause = f"the weights are finite, the largest value is {values.abs().max():g}"
        raise FloatingPointError(
            f"expected a finite loss, found {float(loss.detach()):g} in mini-batch {i} of epoch "
            f"{trainer.current_epoch}: {cause}; check the input for extreme values or lower the "
            "learning rate (plan_kwargs={'lr': 1e-4})"
        )

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Forget it."""
        self._where = None
