"""Likelihoods of cells under the model, with the model's own prior."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from anndata import AnnData
from scvi.utils import unsupported_if_adata_minified
from torch import Tensor
from torch.distributions import Normal

from .posterior import PosteriorMixin

__all__ = ["DensityMixin"]


class DensityMixin(PosteriorMixin):
    """Where scvi-tools assumes p(z) = N(0, I), the same with the mixture."""

    @torch.inference_mode()
    @unsupported_if_adata_minified
    def get_marginal_ll(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        n_mc_samples: int = 1_000,
        batch_size: int | None = None,
        return_mean: bool = True,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
        n_mc_samples_per_pass: int = 10,
    ) -> float | Tensor:
        r"""Importance-weighted estimate of log p(x | c), in nats.

        .. math:: \log \frac1S \sum_s \frac{p(x|z_s,c)\,p(z_s|c)}{q(z_s|x)}, \quad z_s \sim q(z|x)

        where p(z | c) is this model's mixture. The estimate grows to log p(x | c) with S.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells to use; by default those that the model was made with.
        n_mc_samples
            S.
        return_mean
            Mean over cells, or one number per cell.
        n_mc_samples_per_pass
            Samples decoded at a time; bounds the memory.
        """
        loader = self._loader(adata, indices, batch_size, dataloader)
        log_lik = torch.cat(
            [
                self.module.marginal_ll(
                    tensors, n_mc_samples, n_mc_samples_per_pass=n_mc_samples_per_pass
                )
                for tensors in loader
            ]
        )
        return log_lik.mean().item() if return_mean else log_lik

    def get_importance_weights(
        self,
        adata: AnnData | None,
        indices: Any,
        qz: Normal,
        px: Any,
        zs: Tensor,
        max_cells: int = 1024,
        truncation: bool = False,
        n_mc_samples: int = 500,
        n_mc_samples_per_pass: int = 250,
        **data_loader_kwargs,
    ) -> np.ndarray:
        r"""Weights of posterior samples for ``weights="importance"`` in expression accessors.

        A latent code z counts by how well it explains the other cells of its group:

        .. math:: w(z) \propto \sum_{n} \frac{p(z)\,p(x_n|z)}{p(x_n)\,\sum_m q(z|x_m)}

        over up to ``max_cells`` anchor cells n, with this model's mixture as p(z).

        Parameters
        ----------
        adata, indices
            The group's cells.
        qz, px, zs
            q(z | x) and p(x | z) of these cells, and the samples of z.
        max_cells
            Number of anchor cells at most.
        truncation
            Whether weights below the mean are raised to it.
        n_mc_samples, n_mc_samples_per_pass
            See :meth:`get_marginal_ll`.
        **data_loader_kwargs
            For the data loader.

        Returns
        -------
        One weight per sample, summing to 1.
        """
        indices = np.asarray(indices)
        anchors = np.arange(len(indices))
        if len(indices) > max_cells:
            anchors = np.random.default_rng(torch.seed() % 2**32).choice(
                anchors, max_cells, replace=False
            )
        log_px = self.get_marginal_ll(
            adata,
            indices[anchors],
            n_mc_samples,
            return_mean=False,
            n_mc_samples_per_pass=n_mc_samples_per_pass,
        )
        loader = self._make_data_loader(adata=adata, indices=indices, **data_loader_kwargs)
        c = torch.cat([self.module.covariates(tensors) for tensors in loader])
        prior = self.module.prior
        log_pz = prior.log_prob(zs.to(self.device), c.to(self.device)).cpu()
        loc, scale = qz.loc[anchors], qz.scale[anchors]
        anchor_qz = Normal(loc, scale)
        log_qz = anchor_qz.log_prob(zs.unsqueeze(-2)).sum(-1)
        log_px_z = []
        for tensors in self._make_data_loader(
            adata=adata, indices=indices[anchors], batch_size=1, **data_loader_kwargs
        ):
            x = tensors["X"].cpu()
            at_depth = type(px)(
                **{name: getattr(px, name) for name in px.arg_constraints}
                | {"mu": px.scale * x.sum()}
            )
            log_px_z.append(at_depth.log_prob(x).sum(-1))
        log_ratio = (
            log_pz.reshape(-1, 1)
            + torch.stack(log_px_z, -1).reshape(-1, len(anchors))
            - log_px.reshape(1, -1)
            - log_qz.reshape(-1, len(anchors)).logsumexp(1, keepdim=True)
        )
        log_weights = log_ratio.logsumexp(1)
        if truncation:
            log_mean = log_weights.logsumexp(0) - np.log(len(log_weights))
            log_weights = log_weights.clamp(min=log_mean)
        return log_weights.softmax(0).numpy()
