"""Accessors that scvi-tools has, where a supported version of it gives them wrong or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scvi.model.base import RNASeqMixin, VAEMixin
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, StudentT

from mixvi._numbers import check_at_least

from .cells import check_indices
from .columns import check_columns, listing
from .options import check_library_size
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
        ValueError
            If a number is not positive.
        """
        asked = signature(super().get_normalized_expression).bind(*args, **kwargs).arguments
        check_library_size(asked.get("library_size", 1), latent=True)
        check_at_least(1, n_samples=asked.get("n_samples", 1))
        if asked.get("n_samples_overall") is not None:
            check_at_least(1, n_samples_overall=asked["n_samples_overall"])
        wanted = asked.get("gene_list")
        if wanted is not None:
            unknown = [gene for gene in wanted if gene not in set(self._gene_names())]
            if unknown:
                raise KeyError(
                    f"expected genes of the model in gene_list, found {listing(unknown)}; take "
                    "names of adata.var_names"
                )
        if asked.get("n_samples_overall") is None or asked.get("return_numpy"):
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
            If there is nothing to compare, no such group, or the statistics of a file are asked
            for.
        """
        cells = self.adata if adata is None else adata
        if cells is not None:
            asked = signature(super().differential_expression).bind(adata, groupby, *args, **kwargs)
            _check_groups(cells, groupby, asked.arguments)
        if all_stats and cells is not None and cells.isbacked:
            raise ValueError(
                "expected cells in memory for the statistics of their counts, found a file "
                "(backed); pass all_stats=False or adata.to_memory()"
            )
        return super().differential_expression(adata, groupby, *args, all_stats=all_stats, **kwargs)

    def _get_denoised_samples(self, *args: Any, **kwargs: Any) -> np.ndarray:
        """Several samples per cell need dense counts there."""
        check_at_least(1, n_samples=kwargs.get("n_samples", 1))
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


def _check_groups(adata: AnnData, groupby: str | None, asked: Mapping[str, Any]) -> None:
    """Check that there are groups to compare; of rows scvi-tools takes a query as well."""
    rows = [asked.get(name) for name in ("idx1", "idx2")]
    if rows[0] is None:
        if groupby is None:
            raise ValueError(
                "expected groups to compare, found none; pass groupby, or rows as idx1 and idx2"
            )
        check_columns(adata, [groupby])
        known = set(adata.obs[groupby])
        named = asked.get("group1")
        named = [named] if named is None or isinstance(named, str) else list(named)
        for group in (*named, asked.get("group2")):
            if group is not None and group not in known:
                raise ValueError(
                    f"expected a group of adata.obs[{groupby!r}], found {group!r}; choose one of "
                    f"{listing(sorted(known, key=str))}"
                )
    found = [
        check_indices(index, adata.n_obs)
        for index in rows
        if index is not None and not isinstance(index, str)
    ]
    if len(found) == 2 and (common := np.intersect1d(found[0], found[1])).size:
        raise ValueError(
            f"expected groups without common cells, found {common.size} in both (first: "
            f"{str(adata.obs_names[common[0]])!r}); leave them out of one"
        )
