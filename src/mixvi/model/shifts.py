"""The latent shifts that a trained model shows between two conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from anndata import AnnData
from scipy import sparse
from torch import Tensor

from mixvi.distributions.sparse import dense
from mixvi.priors.mixture import at_label

from .clusters import summed_by_cluster
from .contexts import covariate_contexts
from .posterior import PosteriorMixin
from .readout import (
    TEN_THOUSAND,
    LinearPath,
    Readout,
    fit_linear_path,
    fit_readout,
    log_normalized,
)
from .shift import (
    MIN_CELLS,
    Shift,
    choose_temperature,
    group_moments,
    measured_shift,
    shrink_shift,
    similarity_weights,
)
from .targets import TargetMixin

__all__ = ["ClusterShifts", "LogScale", "Reference", "ShiftMixin"]


@dataclass(frozen=True)
class LogScale:
    """Two ways to log-normalized expression.

    Attributes
    ----------
    readout
        From the decoder's hidden units and z.
    path
        Principal components of it.
    scores
        Those of the reference's cells.
    """

    readout: Readout
    path: LinearPath
    scores: np.ndarray


@dataclass(frozen=True)
class Reference:
    """The cells that show what a condition does.

    Attributes
    ----------
    z
        Latent means, cells × dimensions.
    probs
        Responsibilities of the clusters, cells × clusters.
    c
        Covariates, cells × columns.
    codes
        Categories of all categorical covariates, cells × covariates.
    log
        What the log scale needs, where it is asked for.
    """

    z: np.ndarray
    probs: np.ndarray
    c: np.ndarray
    codes: np.ndarray
    log: LogScale | None = None

    def at(self, wanted: Mapping[int, int]) -> np.ndarray:
        """Mask of the cells with given categories."""
        return (self.codes[:, list(wanted)] == list(wanted.values())).all(1)


@dataclass(frozen=True)
class ClusterShifts:
    """What moves every cluster from one condition to another.

    Attributes
    ----------
    shift
        Shrunk shifts, which all clusters have.
    linear
        The same of the scores of the principal components, if there are any.
    measured
        Those of the clusters with cells in both conditions, as they were measured.
    weights
        How much the shift of every cluster (row) borrows from each other one.
    temperature, explained
        Of the similarity, and the share of the effects that it predicts for a cluster left out.
    centers, contexts, share
        Means of the clusters in the source, and the covariates there with their shares.
    n_source, n_target
        Cells of every cluster in either condition.
    """

    shift: Shift
    linear: Shift | None
    measured: Shift
    weights: np.ndarray
    temperature: float
    explained: float
    centers: np.ndarray
    contexts: Tensor
    share: Tensor
    n_source: np.ndarray
    n_target: np.ndarray


class ShiftMixin(TargetMixin, PosteriorMixin):
    """Cluster by cluster, from one condition to another."""

    def _check_reference(self, adata: AnnData | None) -> None:
        """Asked before any cells are read: scvi-tools adopts the first it sees as the model's."""
        if adata is None and self.adata is None:
            raise ValueError(
                "expected cells that show what the condition does, found none: the model was "
                "loaded without its AnnData; pass reference="
            )

    @torch.inference_mode()
    def _reference(self, adata: AnnData | None, *, log_scale: bool = False) -> Reference:
        self._check_reference(adata)
        parts: dict[str, list[np.ndarray]] = {}
        expression = []
        for tensors in self._loader(adata, None, None, None):
            inputs = self.module._get_inference_input(tensors)
            outputs = self.module.inference(**inputs)
            z, c = outputs["qz"].loc, outputs["c"]
            found = {
                "z": z.cpu().numpy(),
                "probs": self._cluster_probs(outputs, tensors),
                "c": c.cpu().numpy(),
                "codes": self._codes(tensors),
            }
            if log_scale:
                found["features"] = self._features(z, c)
                depth = outputs["library"].exp().flatten().cpu().numpy()
                expression.append(log_normalized(dense(inputs["x"]).cpu().numpy(), depth))
            for name, value in found.items():
                parts.setdefault(name, []).append(value)
        joined = {name: np.concatenate(values) for name, values in parts.items()}
        log = None
        if log_scale:
            y = sparse.vstack(expression, format="csr")
            path, readout = fit_linear_path(y), fit_readout(joined["features"], y)
            log = LogScale(readout, path, path.encode(y))
        return Reference(joined["z"], joined["probs"], joined["c"], joined["codes"], log)

    def _features(self, z: Tensor, c: Tensor) -> np.ndarray:
        """What the readout sees: the decoder's hidden units beside z, each with the same say."""
        hidden = self.module.decoder(z, c)
        hidden = hidden * (z.shape[-1] / hidden.shape[-1]) ** 0.5
        return torch.cat([hidden, z], -1).double().cpu().numpy()

    def _cluster_probs(self, outputs: dict[str, Any], tensors: dict[str, Tensor]) -> np.ndarray:
        """Responsibilities of the clusters, all of them the label's where it is known."""
        prior = self.module.prior
        probs = prior.responsibilities(outputs["qz"], outputs["c"])
        labels = self.module.known_labels(tensors)
        if labels is not None:
            logits = probs.clamp(min=torch.finfo(probs.dtype).tiny).log()
            own = at_label(logits, labels.to(probs.device), prior.components_per_label)
            probs = own.softmax(-1)
        codes = self.cluster_of_component_[: prior.n_components]
        return summed_by_cluster(probs.cpu().numpy(), codes)

    def _shifted_clusters(self) -> list[str]:
        """Names of the clusters, without those that a query has found: the reference moves."""
        codes = self.cluster_of_component_[: self.module.prior.n_components]
        return self.cluster_names_[: max(codes) + 1]

    def _cluster_shifts(
        self, reference: Reference, source: dict[int, int], target: dict[int, int]
    ) -> ClusterShifts:
        """Shifts of every cluster from the cells at ``source`` to those at ``target``.

        Raises
        ------
        ValueError
            If no cluster has enough cells in both.
        """
        before, after = reference.at(source), reference.at(target)

        def measured_in(coordinates: np.ndarray) -> Shift:
            return measured_shift(
                group_moments(coordinates[before], reference.probs[before]),
                group_moments(coordinates[after], reference.probs[after]),
            )

        measured = measured_in(reference.z)
        if not measured.seen.any():
            raise ValueError(
                f"expected a cluster with at least {MIN_CELLS:g} cells both of "
                f"{self._named(source)} and of {self._named(target)} among the reference, found "
                f"none ({before.sum()} and {after.sum()} cells in all); pass a reference that has "
                "both, or route='decoder'"
            )
        n_source, centers, _ = group_moments(reference.z[before], reference.probs[before])
        contexts, share = covariate_contexts(reference.c[before], self.device)
        profiles = self._log_profiles(centers, contexts, share)
        moved = self._log_profiles(centers + measured.mean, self._moved(contexts, target), share)
        distances = ((profiles[:, None] - profiles[None]) ** 2).sum(-1)
        distances = distances / (distances[distances > 0].mean() if distances.any() else 1)
        temperature, explained = choose_temperature(moved - profiles, distances, measured.cells)
        weights = similarity_weights(distances, measured.cells, temperature)
        linear = None
        if reference.log is not None:
            linear = shrink_shift(measured_in(reference.log.scores), weights)
        return ClusterShifts(
            shift=shrink_shift(measured, weights),
            linear=linear,
            measured=measured,
            weights=weights,
            temperature=temperature,
            explained=explained,
            centers=centers,
            contexts=contexts,
            share=share,
            n_source=n_source,
            n_target=reference.probs[after].sum(0),
        )

    @torch.inference_mode()
    def _log_profiles(self, z: np.ndarray, contexts: Tensor, share: Tensor) -> np.ndarray:
        """Decoded expression of latent points on a log scale, points × genes.

        log(1 + counts per 10,000) of count likelihoods; others are left as they are.
        """
        points = torch.as_tensor(z, dtype=torch.float32, device=self.device)
        log_depth = torch.zeros(len(points), 1, device=self.device)
        by_context = [
            weight * self.module.generative(points, log_depth, row.expand(len(z), -1))["px"].mean
            for row, weight in zip(contexts, share, strict=True)
        ]
        profiles = torch.stack(by_context).sum(0)
        if self.module.likelihood.is_count:
            profiles = torch.log1p(TEN_THOUSAND * profiles)
        return profiles.double().cpu().numpy()
