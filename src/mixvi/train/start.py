"""Starting the components from the pre-trained latent space."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn import functional

from mixvi.module import MixtureVAE

__all__ = ["StartComponents", "start_components"]


@torch.inference_mode()
def start_components(
    module: MixtureVAE, batches: Iterable[dict[str, Tensor]], *, n_cells: int = 50_000
) -> None:
    """Put the components where the latent means cluster.

    k-means++ with ten restarts on the mean of q(z | x). With labels the first components start at
    the labeled cells' means and k-means places the others.

    Parameters
    ----------
    module
        The pre-trained module; its prior is changed in place.
    batches
        Mini-batches of training cells in random order.
    n_cells
        As many cells are used at most.
    """
    training = module.training
    module.eval()
    z, c, labels = [], [], []
    for tensors in batches:
        outputs = module.inference(**module._get_inference_input(tensors))
        z.append(outputs["qz"].loc)
        c.append(outputs["c"])
        known = module.known_labels(tensors)
        if known is not None:
            labels.append(known.to(z[-1].device))
        if sum(map(len, z)) >= n_cells:
            break
    module.train(training)
    latent, covariates = torch.cat(z), torch.cat(c)
    weights = _assign(latent, module, torch.cat(labels) if labels else None)
    # leaving inference mode's tensors behind: the prior may take gradients on its way
    with torch.inference_mode(False):
        module.prior.initialize_(latent.clone(), weights.clone(), covariates.clone())


def _assign(z: Tensor, module: MixtureVAE, labels: Tensor | None) -> Tensor:
    """One-hot assignment of every cell to a component."""
    n_components, n_tied = module.prior.n_components, module.n_labels
    weights = z.new_zeros(len(z), n_components)
    if n_components > n_tied:
        seed = int(torch.randint(2**31 - 1, ()))
        n_clusters = min(n_components - n_tied, len(z))
        clusters = KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(z.cpu().numpy())
        clusters = torch.as_tensor(clusters, device=z.device).long() + n_tied
        weights = functional.one_hot(clusters, n_components).to(z)
    if labels is not None:
        known = functional.one_hot(labels.clamp(min=0), n_components).to(z)
        weights = torch.where((labels >= 0)[:, None], known, weights)
    return weights


class StartComponents(Callback):
    """Train under N(0, I) up to an epoch, then start the components and train jointly.

    Parameters
    ----------
    epoch
        First epoch of the joint training; 0 starts from the untrained encoder.
    """

    def __init__(self, epoch: int):
        self.epoch = epoch

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Swap the standard prior in."""
        pl_module.module.pretraining = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Start the components when their time has come."""
        if trainer.current_epoch == self.epoch:
            loader: Any = trainer.train_dataloader
            start_components(pl_module.module, loader)
            pl_module.module.pretraining = False

    def on_fit_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Leave the module with its own prior, however the run ended."""
        pl_module.module.pretraining = False

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Leave the module with its own prior, however the run ended."""
        pl_module.module.pretraining = False
