"""Starting the components from the pre-trained latent space."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor
from torch.nn import functional

from mixvi.distributions import Components
from mixvi.distributions.ranks import n_ranks, rank
from mixvi.module import MixtureVAE
from mixvi.priors import GaussianMixture, LatentPrior, StandardPrior, merge_tree

from .labels import label_start
from .means import start_at_means
from .ranks import gather, same_on_all_ranks_
from .spread import start_at_spread
from .tied import fit_tied, sizes_and_means

__all__ = ["StartComponents", "fit_start", "overcluster", "start_components"]

MIN_FINE = 30  # k-means clusters before merging, or twice the number wanted
MIN_CELLS = 5  # cells per such cluster on average, at least


@dataclass(frozen=True)
class Latent:
    """What the encoder says about some training cells: means of q(z | x), h, c and known labels."""

    z: Tensor
    h: Tensor
    c: Tensor
    labels: Tensor | None


@torch.inference_mode()
def encode(
    module: MixtureVAE, batches: Iterable[dict[str, Tensor]], n_cells: int = 50_000
) -> Latent:
    """Encode mini-batches in random order until there are enough cells, of all processes."""
    training = module.training
    module.eval()
    parts: dict[str, list[Tensor]] = {"z": [], "h": [], "c": [], "labels": []}
    for tensors in batches:
        outputs = module.inference(**module._get_inference_input(tensors))
        parts["z"].append(outputs["qz"].loc)
        parts["h"].append(outputs["h"])
        parts["c"].append(outputs["c"])
        known = module.known_labels(tensors)
        if known is not None:
            parts["labels"].append(known.to(outputs["c"].device))
        if sum(map(len, parts["z"])) * n_ranks() >= n_cells:
            break
    module.train(training)
    with torch.inference_mode(False):  # the module may take gradients on its way from here
        joined = gather(torch.cat(p).clone() if p else None for p in parts.values())
    return Latent(*joined)  # type: ignore[arg-type]


def start_components(module: MixtureVAE, batches: Iterable[dict[str, Tensor]]) -> None:
    """Put the components where the cells cluster in the latent space.

    Clusters are those of :func:`fit_start`, or, after :func:`overcluster`, its components merged
    to their number by :func:`mixvi.priors.merge_tree`. With labels see :func:`label_start`.

    Parameters
    ----------
    module
        The pre-trained module; its prior is changed in place.
    batches
        Mini-batches of training cells in random order.
    """
    latent = encode(module, batches)
    if rank() == 0 or n_ranks() == 1:
        _start(module, latent)
    same_on_all_ranks_(module)


def _start(module: MixtureVAE, latent: Latent) -> None:
    n_components, per_label = module.prior.n_components, module.prior.components_per_label
    n_free = n_components - module.n_labels * per_label
    if latent.labels is not None and (latent.labels >= 0).any():
        first = 0
        found = label_start(
            latent.z.cpu().double().numpy(),
            latent.labels.cpu().numpy(),
            _fine_clusters(module.pretraining_prior, latent, n_components),
            n_labels=module.n_labels,
            components_per_label=per_label,
            n_free=n_free,
        )
        start = torch.as_tensor(found).to(latent.z)
    else:  # no cluster gets a label's name by accident, unless all components have one
        first = n_components - n_free if n_free else 0
        start = _clusters(module.pretraining_prior, latent, n_components - first)
    weights = latent.z.new_zeros(len(latent.z), n_components)
    weights[:, first : first + start.shape[1]] = start
    module.initialize_(latent.z, latent.h, weights, latent.c)


def _fine_clusters(prior: LatentPrior, latent: Latent, n_clusters: int) -> np.ndarray:
    """Responsibilities of more clusters than a number."""
    if isinstance(prior, GaussianMixture):
        with torch.no_grad():
            return prior.assignment(latent.z, latent.c).probs.cpu().double().numpy()
    return fit_start(latent.z.cpu().numpy(), _n_fine(n_clusters, len(latent.z)))


def _clusters(prior: LatentPrior, latent: Latent, n_clusters: int) -> Tensor:
    """Responsibilities of a number of clusters."""
    if not isinstance(prior, GaussianMixture):
        return torch.as_tensor(fit_start(latent.z.cpu().numpy(), n_clusters)).to(latent.z)
    with torch.no_grad():
        q = prior.assignment(latent.z, latent.c).probs
        p = prior.components()
        variance = p.scale.square().expand_as(p.loc)
        share = q.mean(0).clamp(min=1e-9)
        tree = merge_tree(share.cpu(), p.loc.cpu(), variance.cpu())
        n_clusters = min(n_clusters, len(share))  # there are no more than cells to train on
        clusters = torch.as_tensor(tree.cut(n_clusters), device=q.device)
        return q @ functional.one_hot(clusters).to(q)


def overcluster(module: MixtureVAE, batches: Iterable[dict[str, Tensor]]) -> None:
    """Go on pre-training under a mixture of more components than there will be clusters.

    30 or twice as many as the module's own, with one shared set of variances. They pull the latent
    space into small pieces; which pieces belong together is easier to see afterwards than where
    to cut a cloud before.

    Parameters
    ----------
    module
        The module; its pre-training prior is replaced.
    batches
        Mini-batches of training cells in random order.
    """
    latent = encode(module, batches)
    n_fine = min(_n_fine(module.prior.n_components, len(latent.z)), len(latent.z))
    prior = GaussianMixture(Components(n_fine, module.n_latent, covariance="tied"))
    prior = prior.to(latent.z.device).train(module.training)
    if rank() == 0 or n_ranks() == 1:
        start = torch.as_tensor(fit_start(latent.z.cpu().numpy(), n_fine)).to(latent.z)
        weights = latent.z.new_zeros(len(latent.z), n_fine)
        weights[:, : start.shape[1]] = start  # of equal cells there are fewer
        prior.initialize_(latent.z, weights, latent.c)
    same_on_all_ranks_(prior)
    module.pretraining_prior = prior


def _n_fine(n_clusters: int, n_cells: int) -> int:
    return min(max(MIN_FINE, 2 * n_clusters), max(n_clusters, n_cells // MIN_CELLS))


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
    n_fine = _n_fine(n_clusters, len(z))
    coarse, fine = (_k_means(z, n, seed) for n in (n_clusters, n_fine))
    fits = (fit_tied(z, start) for start in (coarse, _merge(z, fine, n_clusters)))
    return max(fits, key=lambda fit: fit.log_likelihood).probs


def _merge(z: np.ndarray, fine: np.ndarray, n_clusters: int) -> np.ndarray:
    """Fine clusters, merged to their number."""
    counts, means = sizes_and_means(z, fine)
    variances = sizes_and_means(z**2, fine)[1] - means**2
    # a cluster of one cell has none of its own, and cells that are all alike have none at all
    spread = variances.clip(min=0) + (0.01 * z.var(0)).clip(min=1e-9)
    tree = merge_tree(
        torch.as_tensor(counts / len(z)), torch.as_tensor(means), torch.as_tensor(spread)
    )
    return tree.cut(min(n_clusters, len(counts)))[fine]  # of equal cells there are fewer


def _k_means(z: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
    """Cluster of every cell, the best of several tries; of many clusters one try is as good."""
    tries = min(10, max(1, 600 // n_clusters))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = KMeans(n_clusters, n_init=tries, random_state=seed).fit_predict(z)
    return np.unique(clusters, return_inverse=True)[1]  # of equal cells there are fewer


class StartComponents(Callback):
    """Train under N(0, I), then under too many components, then start the components.

    Before anything is trained the decoder starts at mean expression (:func:`start_at_means`), and
    without labels the noise where it is seen about it (:func:`start_at_spread`). With labels it
    does not: the latent space then keeps more of the batches at the time when labels claim their
    regions, and cells of a type without a label are found less often.

    Parameters
    ----------
    epoch
        First epoch of the joint training; 0 starts from the untrained encoder.
    overcluster_epoch
        First epoch under :func:`overcluster`; ``epoch`` or later leaves this phase out.
    """

    def __init__(self, epoch: int, overcluster_epoch: int):
        self.epoch, self.overcluster_epoch = epoch, overcluster_epoch

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Swap the standard prior in."""
        pl_module.module.pretraining = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Start what has its time come."""
        loader: Any = trainer.train_dataloader
        if trainer.current_epoch == 0:
            start_at_means(pl_module.module, loader)
            if not pl_module.module.n_labels:
                start_at_spread(pl_module.module, loader)
        if trainer.current_epoch == self.epoch:
            start_components(pl_module.module, loader)
            self._end(pl_module.module)
        elif trainer.current_epoch == self.overcluster_epoch < self.epoch:
            overcluster(pl_module.module, loader)

    def on_fit_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Leave the module with its own prior, however the run ended."""
        self._end(pl_module.module)

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Leave the module with its own prior, however the run ended."""
        self._end(pl_module.module)

    @staticmethod
    def _end(module: MixtureVAE) -> None:
        module.pretraining = False
        module.pretraining_prior = StandardPrior(module.n_latent)
