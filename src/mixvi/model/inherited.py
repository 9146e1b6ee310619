"""Accessors that scvi-tools has, where a supported version of it gives them wrong or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scvi.model.base import RNASeqMixin, VAEMixin
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, StudentT

from .columns import check_columns, listing
from .posterior import PosteriorMixin

__all__ = ["InheritedMixin"]


class InheritedMixin(RNASeqMixin, VAEMixin, PosteriorMixin):
    """The same calls as in scvi-tools, with the results that they describe."""

    def view_registry(self, hide_state_registries: bool = False) -> None:
        """Print what was registered of the cells.

        Parameters
        ----------
        hide_state_registries
            Leave the categories out.

        Raises
        ------
        ValueError
            If the model has no AnnData.
        """
        if self.adata is None:
            raise ValueError("expected a model with cells, found none; see model.registry instead")
        self.adata_manager.view_registry(hide_state_registries=hide_state_registries)

    def get_normalized_expression(self, *args: Any, **kwargs: Any) -> np.ndarray | pd.DataFrame:
        """Decoded expression; see :meth:`scvi.model.base.RNASeqMixin.get_normalized_expression`.

        With ``n_samples_overall`` the rows are samples of z from all the cells, and numbered.

        Parameters
        ----------
        *args, **kwargs
            As in scvi-tools.

        Raises
        ------
        KeyError
            If a gene of ``gene_list`` is not one of the model's.
        """
        wanted = kwargs.get("gene_list")
        if wanted is not None:
            unknown = [gene for gene in wanted if gene not in set(self._gene_names())]
            if unknown:
                raise KeyError(
                    f"expected genes of the model in gene_list, found {listing(unknown)}; take "
                    "names of adata.var_names"
                )
        if kwargs.get("n_samples_overall") is None or kwargs.get("return_numpy"):
            return super().get_normalized_expression(*args, **kwargs)
        samples = super().get_normalized_expression(*args, **kwargs | {"return_numpy": True})
        genes = pd.Index(self._gene_names())
        if wanted is not None:
            genes = genes[genes.isin(wanted)]
        return pd.DataFrame(samples, columns=genes)

    def differential_expression(
        self,
        adata: AnnData | None = None,
        groupby: str | None = None,
        *args: Any,
        all_stats: bool = True,
        **kwargs: Any,
    ) -> pd.DataFrame:
        """Genes that differ between groups of cells; see scvi-tools' method of this name.

        Parameters
        ----------
        adata
            Cells to use; by default those that the model was made with.
        groupby
            Column of ``obs`` with the groups.
        all_stats
            Add statistics of the counts themselves, for which the cells must be in memory.
        *args, **kwargs
            As in scvi-tools.

        Raises
        ------
        KeyError
            If there is no such column.
        ValueError
            If the statistics of a file are asked for.
        """
        cells = self.adata if adata is None else adata
        if groupby is not None and cells is not None:
            check_columns(cells, [groupby])
        if all_stats and cells is not None and cells.isbacked:
            raise ValueError(
                "expected cells in memory for the statistics of their counts, found a file "
                "(backed); pass all_stats=False or adata.to_memory()"
            )
        return super().differential_expression(adata, groupby, *args, all_stats=all_stats, **kwargs)

    def _get_denoised_samples(self, *args: Any, **kwargs: Any) -> np.ndarray:
        """Several samples per cell need dense counts there."""
        kwargs.setdefault("load_sparse_tensor", False)
        return super()._get_denoised_samples(*args, **kwargs)

    @torch.inference_mode()
    def get_aggregated_posterior(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dof: float | None = 3.0,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
    ) -> MixtureSameFamily:
        r"""The mean of q(z | x) over cells, as a distribution.

        .. math:: \frac1n \sum_i N(z | \mu_i, \sigma_i^2)

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells to use; by default those that the model was made with.
        dof
            Degrees of freedom of Student's t in place of the normal: heavier tails the smaller.
            ``None`` is the normal.
        """
        mean, variance = (
            torch.as_tensor(value, device=self.device)
            for value in self.get_latent_representation(
                adata, indices, batch_size=batch_size, return_dist=True, dataloader=dataloader
            )
        )
        scale = variance.sqrt()
        parts = Normal(mean, scale) if dof is None else StudentT(dof, mean, scale)
        return MixtureSameFamily(
            Categorical(logits=torch.zeros(len(mean), device=self.device)), Independent(parts, 1)
        )
