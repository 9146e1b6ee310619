"""Clusters: which one a cell belongs to, and where their components lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from torch import Tensor

from .contexts import covariate_contexts, mean_over_contexts
from .options import choice
from .posterior import PosteriorMixin

__all__ = ["ClusterMixin", "ComponentTable", "Level", "summed_by_cluster"]

Level = Literal["cluster", "component"]


@dataclass(frozen=True)
class ComponentTable:
    """The components of a mixture, one row each.

    Attributes
    ----------
    weights
        Share of the cells, Σ_n q(y = k | x_n) / n.
    means, scales
        Mean and standard deviation of p(z | y = k), components × latent dimensions, a style at
        the mean of its prior.
    """

    weights: pd.Series
    means: pd.DataFrame
    scales: pd.DataFrame

    def __repr__(self) -> str:
        n_components, n_latent = self.means.shape
        return f"ComponentTable({n_components} components in {n_latent} latent dimensions)"


def summed_by_cluster(probs: np.ndarray, cluster_of_component: Sequence[int]) -> np.ndarray:
    """Responsibilities of clusters: the sums of those of their components, at most 1.

    Parameters
    ----------
    probs
        Cells × components.
    cluster_of_component
        Code of every component's cluster.

    Returns
    -------
    Cells × clusters.
    """
    codes = np.asarray(cluster_of_component)
    sums = probs @ (codes[:, None] == np.arange(codes.max() + 1)).astype(probs.dtype)
    return np.minimum(sums, 1)  # rounding may leave a sum above it


class ClusterMixin(PosteriorMixin):
    """What a mixture in the latent space says about cells."""

    def predict(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
        *,
        level: Level = "cluster",
    ) -> np.ndarray:
        """Name of every cell's most probable cluster.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells to use; by default those that the model was made with.
        level
            ``"cluster"``, or ``"component"`` for the components that clusters were merged from.

        Returns
        -------
        Names (see ``cluster_names_``), one per cell; the same in every call.
        """
        codes, names = self._level_codes(level)
        found = [
            summed_by_cluster(batch["probs"], codes).argmax(1)
            for batch in self._batches(adata, indices, batch_size, dataloader, ["probs"])
        ]
        return np.asarray(names)[np.concatenate(found)]

    def predict_proba(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
        *,
        level: Level = "cluster",
    ) -> pd.DataFrame:
        """Responsibilities q(y = k | x) = E_{q(z|x)} q(y = k | z): cells × clusters, rows sum to 1.

        Averaged over q(z | x): where the state of a cell is uncertain, so is its cluster.

        Parameters
        ----------
        adata, indices, batch_size, dataloader, level
            As in :meth:`predict`.
        """
        codes, names = self._level_codes(level)
        posterior = self._posterior(adata, indices, batch_size, dataloader, ["probs"])
        probs = summed_by_cluster(posterior["probs"], codes)
        index = self._cell_names(adata, indices, dataloader)
        return pd.DataFrame(probs, index=index, columns=names)

    def get_components(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
    ) -> ComponentTable:
        """Weights, means and scales of the components.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells whose shares are the weights (and whose covariates the means are averaged over,
            where the components see covariates); by default those that the model was made with.
        """
        posterior = self._posterior(adata, indices, batch_size, dataloader, ["probs", "c"])
        return self._component_table(posterior)

    def _component_table(self, posterior: dict[str, np.ndarray]) -> ComponentTable:
        c, share = covariate_contexts(posterior["c"], self.device)
        with torch.inference_mode():
            centers = self.module.prior.centers(c)
            loc, scale = (mean_over_contexts(share, x) for x in (centers.loc, centers.scale))
        if (grown := self._grown) is not None:
            loc, scale = np.vstack([loc, grown.means]), np.vstack([scale, grown.scales])
        names = pd.Index(self.component_names_, name="component")
        dimensions = [f"z{i}" for i in range(loc.shape[1])]
        return ComponentTable(
            weights=pd.Series(posterior["probs"].mean(0), index=names, name="weight"),
            means=pd.DataFrame(loc, index=names, columns=dimensions),
            scales=pd.DataFrame(scale, index=names, columns=dimensions),
        )

    def _level_codes(self, level: Level) -> tuple[Sequence[int], list[str]]:
        """Code of what every component belongs to, and the names of these."""
        choice("level", level, get_args(Level))
        if level == "component":
            return range(len(self.component_names_)), self.component_names_
        return self.cluster_of_component_, self.cluster_names_
