"""Clusters: which component a cell belongs to, and where the components lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from torch import Tensor

from .contexts import covariate_contexts
from .posterior import PosteriorMixin

__all__ = ["ClusterMixin", "ComponentTable"]


@dataclass(frozen=True)
class ComponentTable:
    """The components of a mixture, one row each.

    Attributes
    ----------
    weights
        Share of the cells, Σ_n q(y = k | z_n) / n.
    means, scales
        Mean and standard deviation of p(z | y = k), components × latent dimensions, a style at
        the mean of its prior.
    """

    weights: pd.Series
    means: pd.DataFrame
    scales: pd.DataFrame


class ClusterMixin(PosteriorMixin):
    """What a mixture in the latent space says about cells."""

    def predict(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
    ) -> np.ndarray:
        """Name of every cell's most probable component.

        The mean of q(z | x) is used, not a sample of it: labels do not jitter.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells to use; by default those that the model was made with.

        Returns
        -------
        Names (see ``cluster_names_``), one per cell.
        """
        posterior = self._posterior(adata, indices, batch_size, dataloader)
        return np.asarray(self.cluster_names_)[posterior["probs"].argmax(1)]

    def predict_proba(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
    ) -> pd.DataFrame:
        """Responsibilities q(y = k | z) at the mean of q(z | x): cells × components, rows sum to 1.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells to use; by default those that the model was made with.
        """
        posterior = self._posterior(adata, indices, batch_size, dataloader)
        index = self._cell_names(adata, indices, dataloader)
        return pd.DataFrame(posterior["probs"], index=index, columns=self.cluster_names_)

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
        posterior = self._posterior(adata, indices, batch_size, dataloader)
        c, share = covariate_contexts(posterior["c"], self.device)
        with torch.inference_mode():
            centers = self.module.prior.centers(c)
            loc = torch.einsum("b,bkd->kd", share, centers.loc).cpu().numpy()
            scale = torch.einsum("b,bkd->kd", share, centers.scale).cpu().numpy()
        names = pd.Index(self.cluster_names_, name="component")
        dimensions = [f"z{i}" for i in range(loc.shape[1])]
        return ComponentTable(
            weights=pd.Series(posterior["probs"].mean(0), index=names, name="weight"),
            means=pd.DataFrame(loc, index=names, columns=dimensions),
            scales=pd.DataFrame(scale, index=names, columns=dimensions),
        )
