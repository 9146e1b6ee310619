"""Keeping the best weights of a run."""

from __future__ import annotations

import math
from typing import Any

from lightning.pytorch import Callback, Trainer
from torch import Tensor

__all__ = ["KeepBest"]


class KeepBest(Callback):
    """Put the weights with the lowest monitored value back when training ends.

    A copy is kept, not a reference: the weights go on changing under the optimizer.

    Parameters
    ----------
    monitor
        Name of the logged value; lower is better.
    from_epoch
        First epoch that counts: before it the objective is another one.

    Attributes
    ----------
    best_value, best_epoch
        The lowest value and its epoch, ``None`` before there is one.
    """

    def __init__(self, monitor: str = "elbo_validation", from_epoch: int = 0):
        self.monitor, self.from_epoch = monitor, from_epoch
        self.best_value = math.inf
        self.best_epoch: int | None = None
        self._weights: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Copy the weights if they are the best so far.

        Not at the validation epoch's end: callbacks come before the plan there, and would see the
        value of the epoch before.
        """
        if trainer.sanity_checking or trainer.current_epoch < self.from_epoch:
            return
        value = float(trainer.callback_metrics.get(self.monitor, math.nan))
        if value < self.best_value:
            self.best_value, self.best_epoch = value, trainer.current_epoch
            weights = pl_module.module.state_dict()
            self._weights = {name: tensor.detach().clone() for name, tensor in weights.items()}

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Put them back where later ones are no numbers."""
        if isinstance(exception, FloatingPointError):
            self.on_train_end(trainer, pl_module)

    def for_checkpoint(self) -> dict[str, Any]:
        """State; not Lightning's, which allows one callback of a kind only."""
        return {"best": (self.best_value, self.best_epoch), "weights": self._weights}

    def from_checkpoint(self, state_dict: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.best_value, self.best_epoch = state_dict["best"]
        self._weights = state_dict["weights"]

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Put them back."""
        if self._weights:
            pl_module.module.load_state_dict(self._weights)
            self._weights = {}
