"""Lightning's steps without the bookkeeping that an ordinary run has no use for."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins import Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy

from .finite import StopAtNaN
from .plan import MixturePlan

__all__ = ["LeanEpochLoop"]

AT_A_STEP = (  # what a callback may do at a step
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)


class LeanEpochLoop(_TrainingEpochLoop):
    """A step is the plan's step, its gradient and the optimizer's step, and nothing else.

    Hooks, closures and profilers of a step cost as much as the step of a small network on a fast
    device. They are left out where nobody listens: one device, full precision, no accumulation or
    clipping of gradients, no schedule of the learning rate, and no callback that asks for steps.
    Otherwise steps are Lightning's own. Batches, random numbers, weights, progress, validation and
    everything that happens between epochs are the same in both.

    Parameters
    ----------
    trainer
        A trainer before its run; the loop takes the place of the trainer's own.
    """

    def __init__(self, trainer: Trainer):
        own = trainer.fit_loop.epoch_loop
        super().__init__(trainer, min_steps=own.min_steps, max_steps=own.max_steps)
        self._lean = False

    def on_run_start(self, data_fetcher: Any) -> None:
        """Begin an epoch."""
        super().on_run_start(data_fetcher)
        self._lean = is_lean(self.trainer)

    def advance(self, data_fetcher: Any) -> None:
        """Run one step."""
        if not self._lean or self.restarting:
            super().advance(data_fetcher)
            return
        trainer: Any = self.trainer
        plan = trainer.lightning_module
        (optimizer,) = trainer.optimizers
        watching = [each for each in trainer.callbacks if isinstance(each, StopAtNaN)]
        self.val_loop.restarting = False
        batch, _, _ = next(data_fetcher)
        self.batch_progress.is_last_batch = data_fetcher.done
        batch = plan._on_before_batch_transfer(batch, dataloader_idx=0)
        batch = trainer.strategy.batch_to_device(batch, dataloader_idx=0)
        self.batch_progress.increment_ready()
        trainer._logger_connector.on_batch_start(batch)
        self.batch_progress.increment_started()
        for callback in watching:
            callback.on_train_batch_start(trainer, plan, batch, self.batch_idx)
        loss = plan.training_step(batch, self.batch_idx)
        optimizer.zero_grad()
        for callback in watching:
            callback.on_before_backward(trainer, plan, loss)
        loss.backward()
        steps = self.automatic_optimization.optim_progress.optimizer.step
        steps.increment_ready()
        optimizer.step()
        steps.increment_completed()
        self.batch_progress.increment_processed()
        trainer._logger_connector.on_batch_end()
        self.batch_progress.increment_completed()


def is_lean(trainer: Trainer) -> bool:
    """Whether nothing asks for what :class:`LeanEpochLoop` leaves out.

    Parameters
    ----------
    trainer
        A trainer in its run.
    """
    listening = [
        callback
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        if not isinstance(callback, StopAtNaN)
        and any(getattr(type(callback), name) is not getattr(Callback, name) for name in AT_A_STEP)
    ]
    return (
        not listening
        and type(trainer.lightning_module) is MixturePlan
        and type(trainer.strategy) is SingleDeviceStrategy
        and type(trainer.precision_plugin) is Precision
        and isinstance(trainer.profiler, PassThroughProfiler)  # type: ignore[attr-defined]
        and trainer.accumulate_grad_batches == 1
        and not trainer.gradient_clip_val
        and not trainer.lr_scheduler_configs
        and len(trainer.optimizers) == 1
    )
