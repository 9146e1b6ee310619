"""One model trained by several processes: what they agree on, and who writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import torch
from lightning.pytorch import Callback, Trainer
from scvi.train import LoudEarlyStopping, TrainRunner
from torch import Tensor, distributed, nn

from mixvi._compat import SimpleLogger, is_distributed
from mixvi.distributions.ranks import n_ranks, rank, together

from .lean import LeanEpochLoop

__all__ = [
    "AllRanks",
    "Runner",
    "for_many_ranks",
    "from_first_rank",
    "gather",
    "go_apart",
    "same_on_all_ranks_",
]

T = TypeVar("T")

EARLY_STOPPING = {  # scvi-tools' defaults
    "monitor": "elbo_validation",
    "min_delta": 0.0,
    "patience": 45,
    "warmup_epochs": 0,
    "mode": "min",
}


class AllRanks(Callback):
    """Let the processes of a run count together, each with random numbers of its own.

    They start from the same weights. Noise must differ, or cells of different processes would be
    given the same.
    """

    def __init__(self) -> None:
        self._together = ExitStack()

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        """From here on statistics are those of all processes."""
        if trainer.world_size > 1:
            self._together.enter_context(together())

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Go apart."""
        go_apart()

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Count alone again."""
        self._together.close()

    def teardown(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Count alone again."""
        self._together.close()


def go_apart() -> None:
    """Give every process random numbers of its own, all from those of the first."""
    if n_ranks() > 1:
        torch.manual_seed(from_first_rank(int(torch.randint(2**31 - 1, ()))) + rank())


def from_first_rank(value: T) -> T:
    """What the first process found, so that all decide alike."""
    if n_ranks() == 1:
        return value
    found: list[Any] = [value]
    distributed.broadcast_object_list(found, src=0)
    return found[0]


def gather(tensors: Iterable[Tensor | None]) -> list[Tensor | None]:
    """Rows of all processes, one behind the other; they may differ in number."""
    tensors = list(tensors)
    if n_ranks() == 1:
        return tensors
    parts: list[Any] = [None] * n_ranks()
    distributed.all_gather_object(parts, [x if x is None else x.cpu() for x in tensors])
    return [
        x if x is None else torch.cat(found).to(x.device)
        for x, found in zip(tensors, zip(*parts, strict=True), strict=True)
    ]


@torch.no_grad()
def same_on_all_ranks_(module: nn.Module) -> None:
    """Give all processes the first one's weights and running moments."""
    if n_ranks() > 1:
        for tensor in [*module.parameters(), *module.buffers()]:
            values = tensor.detach().clone(memory_format=torch.contiguous_format)
            distributed.broadcast(values, src=0)
            tensor.copy_(values)


def for_many_ranks(
    devices: int | Sequence[int] | str,
    early_stopping: bool,
    callbacks: list[Any],
    kwargs: dict[str, Any],
) -> None:
    """Settings of a run by several processes, in place; nothing changes for one.

    scvi-tools knows of several devices only where the strategy is named, leaves early stopping out
    of such runs (our metrics are those of all processes, so they stop together), and would write
    the history to the working directory.

    Parameters
    ----------
    devices, early_stopping, callbacks, kwargs
        Of ``train`` and for scvi-tools' trainer.
    """
    n_devices = devices if isinstance(devices, int) else len(devices) * (type(devices) is not str)
    if n_devices > 1 or kwargs.get("num_nodes", 1) > 1:
        kwargs.setdefault("strategy", "ddp")
    if not is_distributed(kwargs.get("strategy")):
        return
    if kwargs.get("log_save_dir") is None:
        kwargs.setdefault("logger", SimpleLogger())
    if early_stopping:
        settings = {
            name: kwargs.pop(f"early_stopping_{name}", default)
            for name, default in EARLY_STOPPING.items()
        }
        callbacks.append(LoudEarlyStopping(**settings))
        kwargs.setdefault("check_val_every_n_epoch", 1)


class Runner(TrainRunner):
    """scvi-tools' runner, with lean steps; every process leaves its model on its own device."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.trainer.fit_loop.epoch_loop = LeanEpochLoop(self.trainer)
        if self.trainer.world_size > 1:
            self.device = self.trainer.strategy.root_device
