"""Starting the components from the pre-trained latent space."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor
from torch.nn import functional

from mixvi.module import MixtureVAE
from mixvi.priors import merge_tree

__all__ = ["StartComponents", "fit_start", "start_components"]

MIN_FINE = 30  # k-means clusters before merging, or twice the number wanted
MIN_CELLS = 5  # cells per such cluster on average, at least
RIDGE = 1e-3  # added to the start's covariance


@torch.inference_mode()
def start_components(
    module: MixtureVAE, batches: Iterable[dict[str, Tensor]], *, n_cells: int = 50_000
) -> None:
    """Put the components where the latent means cluster.

    A normal mixture is fitted to the means of q(z | x) (:func:`fit_start`). With labels the first
    components start at the labeled cells' means and the mixture places the others.

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
    z, h, c, labels = [], [], [], []
    for tensors in batches:
        outputs = module.inference(**module._get_inference_input(tensors))
        z.append(outputs["qz"].loc)
        h.append(outputs["h"])
        c.append(outputs["c"])
        known = module.known_labels(tensors)
        if known is not None:
            labels.append(known.to(z[-1].device))
        if sum(map(len, z)) >= n_cells:
            break
    module.train(training)
    latent = torch.cat(z)
    weights = _assign(latent, module, torch.cat(labels) if labels else None)
    # leaving inference mode's tensors behind: the module may take gradients on its way
    with torch.inference_mode(False):
        parts = latent, torch.cat(h), weights, torch.cat(c)
        module.initialize_(*(part.clone() for part in parts))


def _assign(z: Tensor, module: MixtureVAE, labels: Tensor | None) -> Tensor:
    """Responsibilities of the components for every cell."""
    n_components, n_tied = module.prior.n_components, module.n_labels
    weights = z.new_zeros(len(z), n_components)
    if n_components > n_tied:
        free = fit_start(z.cpu().numpy(), n_components - n_tied)
        weights[:, n_tied : n_tied + free.shape[1]] = torch.as_tensor(free).to(z)
    if labels is not None:
        known = functional.one_hot(labels.clamp(min=0), n_components).to(z)
        weights = torch.where((labels >= 0)[:, None], known, weights)
    return weights


def fit_start(z: np.ndarray, n_clusters: int) -> np.ndarray:
    """Responsibilities of a normal mixture with one shared covariance, from the better start.

    EM goes to the optimum next to where it starts, so it starts twice, from k-means (which would
    rather cut a large cluster in two than give a small one its own) and from k-means into more
    clusters merged by :func:`mixvi.priors.merge_tree` (which finds the small ones), and the
    higher likelihood wins.

    Parameters
    ----------
    z
        Latent means, cells × dimensions.
    n_clusters
        Number of clusters; fewer are made where there are fewer cells.

    Returns
    -------
    Cells × clusters, rows sum to 1.
    """
    z = np.asarray(z, dtype=float)
    seed = int(torch.randint(2**31 - 1, ()))
    n_clusters = min(n_clusters, len(z))
    if n_clusters < 2:
        return np.ones((len(z), 1))
    n_fine = min(max(MIN_FINE, 2 * n_clusters), max(n_clusters, len(z) // MIN_CELLS))
    coarse = KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(z)
    fine = KMeans(n_fine, n_init=10, random_state=seed).fit_predict(z)
    mixtures = [_fit_mixture(z, start) for start in (coarse, _merge(z, fine, n_clusters))]
    return max(mixtures, key=lambda mixture: mixture.lower_bound_).predict_proba(z)


def _moments(z: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes, means and variances of a partition, and nothing of clusters without cells."""
    members = clusters == np.unique(clusters)[:, None]
    counts = members.sum(1)
    means = members @ z / counts[:, None]
    return counts, means, members @ z**2 / counts[:, None] - means**2


def _merge(z: np.ndarray, fine: np.ndarray, n_clusters: int) -> np.ndarray:
    """Fine clusters, merged to their number."""
    counts, means, variances = _moments(z, fine)
    spread = variances.clip(min=0) + 0.01 * z.var(0)  # a cluster of one cell has none of its own
    tree = merge_tree(
        torch.as_tensor(counts / len(z)), torch.as_tensor(means), torch.as_tensor(spread)
    )
    return tree.cut(n_clusters)[np.unique(fine, return_inverse=True)[1]]


def _fit_mixture(z: np.ndarray, clusters: np.ndarray) -> GaussianMixture:
    """EM from a partition."""
    counts, means, _ = _moments(z, clusters)
    residuals = z - means[np.unique(clusters, return_inverse=True)[1]]
    covariance = residuals.T @ residuals / len(z) + RIDGE * np.eye(z.shape[1])
    mixture = GaussianMixture(
        len(counts),
        covariance_type="tied",
        reg_covar=RIDGE,
        max_iter=200,
        weights_init=counts / len(z),
        means_init=means,
        precisions_init=np.linalg.inv(covariance),
    )
    with warnings.catch_warnings():  # near the optimum is near enough to start from
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(z)


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
