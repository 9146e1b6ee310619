"""Runs that can be interrupted: at any moment, by anything, and go on to the same weights."""

from __future__ import annotations

import io
import logging
import random
import signal
import time
from contextlib import AbstractContextManager, nullcontext
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from mixvi._files import replacing
from mixvi._numbers import check_number
from mixvi._only_weights import only_weights, read_weights
from mixvi.distributions import Components
from mixvi.module import MixtureVAE
from mixvi.priors import GaussianMixture

from .history import as_tables, as_values
from .ranks import go_apart

__all__ = ["LongRun"]

logger = logging.getLogger(__name__)

FILE = "training.ckpt"
PROGRESS = ("epoch", "global_step", "loops")
SPLIT = ("train_idx", "val_idx", "test_idx")


class LongRun:
    """Checkpoints of a run, and the way back from the last one.

    A checkpoint is the state between two epochs: Lightning's (weights, optimizer, progress,
    callbacks) and what it does not know of (random numbers, history, which cells are held out,
    the phase). It is kept in memory after every epoch and goes to the disk every some minutes and
    when the run ends by an exception, SIGTERM or SIGINT; there it takes the place of the one
    before only when it is whole. A full disk costs the checkpoint, not the run.

    Parameters
    ----------
    directory
        Where the checkpoint is; ``None``: nowhere.
    minutes
        Time between two of them.
    resume
        Whether to go on from the one that is there, if one is.
    run
        What must be the same in the run that goes on, by name.

    Raises
    ------
    ValueError
        If there is nothing to resume from, the minutes are negative, or the checkpoint is of
        another run or holds anything but weights and plain values.
    """

    def __init__(
        self,
        directory: str | PathLike[str] | None,
        minutes: float,
        *,
        resume: bool,
        run: dict[str, Any],
    ):
        if resume and directory is None:
            raise ValueError("expected a checkpoint_dir to resume from, found none; pass one")
        check_number("checkpoint_minutes", minutes)
        self.saved: dict[str, Any] | None = None
        self.callbacks: tuple[Callback, ...] = ()
        self.ckpt_path: str | None = None
        if directory is None:
            return
        path = Path(directory) / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        if resume and path.is_file():
            self.saved = read_weights(path)["mixvi"]
            self.ckpt_path = str(path)
            for name, value in run.items():
                found = self.saved["run"].get(name, value)  # what an older one does not tell
                if found != value:
                    raise ValueError(
                        f"expected to resume a run with {name} {value!r}, found a checkpoint of "
                        f"one with {found!r} in {str(path)!r}; pass the same, or resume=False to "
                        "start again"
                    )
        writer = Write(path, minutes, run, self.saved)
        self.callbacks = Between(writer, self.saved), writer

    def prepare(self, module: MixtureVAE) -> AbstractContextManager[None]:
        """Give the module the parts that the checkpoint has weights for; read it safely.

        Parameters
        ----------
        module
            The module, before the fit.
        """
        if self.saved is None or self.ckpt_path is None:
            return nullcontext()
        n_fine = self.saved["n_fine"]
        if n_fine is not None:
            module.pretraining_prior = GaussianMixture(
                Components(n_fine, module.n_latent, covariance="tied")
            )
        return only_weights(Path(self.ckpt_path))


class Write(Callback):
    """Take the state after every epoch, and write it when it is time.

    No ``Checkpoint`` of Lightning's: with one, scvi-tools writes models of its own beside it.
    """

    def __init__(self, path: Path, minutes: float, run: dict[str, Any], saved: Any):
        self.path, self.minutes, self.run, self._saved = path, minutes, run, saved
        self._pending: dict[str, Any] | None = None
        self._latest: bytes | None = None
        self._time = time.monotonic()

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Go back to the phase of the checkpoint."""
        if self._saved is not None:
            pl_module.module.pretraining = self._saved["pretraining"]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Begin the epoch again: Lightning began it before the random numbers were back."""
        if self._saved is not None:
            loop: Any = trainer.fit_loop
            iter(loop._data_fetcher)
            self._saved = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Note how far the run is: to Lightning the next epoch has begun when this one is over."""
        if not trainer.is_global_zero:  # which writes for all
            return
        state = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        self._pending = {name: state[name] for name in PROGRESS}

    def complete(self, trainer: Trainer, module: MixtureVAE) -> None:
        """Add ours, once the epoch has been logged."""
        if self._pending is None:
            return
        prior = module.pretraining_prior
        logger: Any = trainer.logger
        state = trainer._checkpoint_connector.dump_checkpoint(weights_only=False) | self._pending
        state["mixvi"] = {
            "run": self.run,
            "random": _random_state(),
            "history": as_values(getattr(logger, "history", None)),
            "pretraining": module.pretraining,
            "n_fine": prior.n_components if isinstance(prior, GaussianMixture) else None,
            "callbacks": [callback.for_checkpoint() for callback in _stateful(trainer)],
            "split": [getattr(trainer.datamodule, name, None) for name in SPLIT],  # type: ignore[attr-defined]
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        self._pending, self._latest = None, buffer.getvalue()
        if time.monotonic() - self._time >= 60 * self.minutes:
            self._write()

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Lose no more than the epoch, and do not end like a run that is over."""
        if isinstance(exception, SIGTERMException):
            exception.code = 128 + signal.SIGTERM
        self._write()

    def _write(self) -> None:
        if self._latest is None:
            return
        try:
            with replacing(self.path) as temporary:
                temporary.write_bytes(self._latest)
        except OSError as error:
            logger.warning(
                "No checkpoint could be written to %r (%s). The run goes on; free space on the "
                "disk: until then it can be resumed from the checkpoint before, if there is one.",
                str(self.path),
                error.strerror,
            )
        self._latest, self._time = None, time.monotonic()


class Between(Callback):
    """What is done between two epochs, before any other callback."""

    def __init__(self, writer: Write, saved: dict[str, Any] | None):
        self._writer, self._saved = writer, saved

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Hold the same cells out."""
        if self._saved is not None:
            for name, rows in zip(SPLIT, self._saved["split"], strict=True):
                if rows is not None:
                    setattr(trainer.datamodule, name, rows)  # type: ignore[attr-defined]

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Go on with the history, and with what our callbacks know."""
        if self._saved is not None:
            for callback, state in zip(_stateful(trainer), self._saved["callbacks"], strict=True):
                callback.from_checkpoint(state)
        logger: Any = trainer.logger
        if (
            self._saved is not None
            and self._saved["history"] is not None
            and trainer.is_global_zero
        ):
            logger.experiment.data.update(as_tables(self._saved["history"]))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Complete the checkpoint of the epoch before, or go on with its random numbers."""
        self._writer.complete(trainer, pl_module.module)
        if self._saved is not None:
            _set_random_state(self._saved["random"])
            go_apart()
            self._saved = None


def _stateful(trainer: Trainer) -> list[Any]:
    callbacks: Any = trainer.callbacks  # type: ignore[attr-defined]
    return [callback for callback in callbacks if hasattr(callback, "for_checkpoint")]


def _random_state() -> dict[str, Any]:
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": list(np.random.get_state()),  # noqa: NPY002
        "python": random.getstate(),
    }


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    np.random.set_state(tuple(state["numpy"]))  # noqa: NPY002
    random.setstate(state["python"])
