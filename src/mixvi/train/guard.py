"""What to do when components are lost."""

from __future__ import annotations

import logging
from typing import Any

from lightning.pytorch import Callback, Trainer

from mixvi.module import MixtureVAE
from mixvi.priors import MixturePrior

from .ranks import from_first_rank
from .start import start_components

__all__ = ["GuardComponents", "n_used"]

logger = logging.getLogger(__name__)

MAX_RESTARTS = 2
LOST = 0.5  # share of the started components


def n_used(prior: MixturePrior) -> int:
    """Number of components with a running share of the cells of at least .1/K."""
    return int((prior.usage >= 0.1 / prior.n_components).sum())


class GuardComponents(Callback):
    """Start the components again when a run loses half of them.

    Large steps in a large latent space can empty most components within a few epochs: each alone
    looks harmless, and the ELBO does not tell. The running shares are watched during the joint
    training. Lost components are started again from the latent space as it is by then, twice at
    most; if they are lost again, they are started a last time after training, so that the model
    ends with the clusters of its latent space. The user is told. Components of a global Dirichlet
    are meant to be pruned and are left alone.

    Attributes
    ----------
    n_restarts
        How often components were started again.
    """

    def __init__(self) -> None:
        self.n_restarts = 0
        self._n_started: int | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Count the components that the joint training starts with."""
        module = pl_module.module
        if self._n_started is None and not module.pretraining and _watched(module):
            self._n_started = n_used(module.prior)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Look at the shares; before the components are started there are none."""
        module = pl_module.module
        if self._n_started is None or not _watched(module):
            return
        if self._lost(module) and self.n_restarts < MAX_RESTARTS:
            self._restart(trainer, module, "components were started again")
            self._n_started = n_used(module.prior)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Leave no model without clusters."""
        module = pl_module.module
        if self._n_started is not None and _watched(module) and self._lost(module):
            self._restart(
                trainer, module, "they are now those of a normal mixture in the latent space"
            )

    def for_checkpoint(self) -> dict[str, Any]:
        """State; not Lightning's, which allows one callback of a kind only."""
        return {"n_restarts": self.n_restarts, "n_started": self._n_started}

    def from_checkpoint(self, state_dict: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.n_restarts, self._n_started = state_dict["n_restarts"], state_dict["n_started"]

    def _lost(self, module: Any) -> bool:
        return from_first_rank(n_used(module.prior) < LOST * (self._n_started or 0))

    def _restart(self, trainer: Trainer, module: Any, what: str) -> None:
        logger.warning(
            "%d of %d components were left with cells: %s; a smaller learning rate "
            "(plan_kwargs={'lr': 5e-4}), batch_size or n_latent keeps them",
            n_used(module.prior),
            self._n_started,
            what,
        )
        loader: Any = trainer.train_dataloader
        start_components(module, loader)
        self.n_restarts += 1


def _watched(module: MixtureVAE) -> bool:
    prior = module.prior
    return isinstance(prior, MixturePrior) and prior.n_components > 1 and not prior.prunes
