"""What the model infers about cells, all in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from torch import Tensor
from torch.distributions import Normal

from mixvi._compat import ADATA_MINIFY_TYPE, validate_adata_or_dataloader
from mixvi._progress import progress
from mixvi.module import MixtureVAE

from .growth import NewComponents
from .registration import RegistrationMixin
from .untrained import check_trained

__all__ = ["PosteriorMixin"]

BATCH_SIZE = 1024  # of a pass without gradients; the same numbers as with another, sooner
ACTIVE = 0.01  # variance of a latent mean over cells; the usual bound for an active unit


@dataclass(frozen=True)
class Encoded:
    """Cells, encoded.

    Attributes
    ----------
    qz
        q(z | x).
    c
        Covariates.
    style
        Mean of q(w | x), where it is asked for and there is one.
    """

    qz: Normal
    c: Tensor
    style: Tensor | None

    @classmethod
    def together(cls, parts: Sequence[Encoded]) -> Encoded:
        """The cells of all parts."""
        if len(parts) == 1:
            return parts[0]
        loc, scale = (torch.cat([getattr(p.qz, name) for p in parts]) for name in ("loc", "scale"))
        style = [p.style for p in parts if p.style is not None]
        qz = Normal(loc, scale, validate_args=False)
        return cls(qz, torch.cat([p.c for p in parts]), torch.cat(style) if style else None)


class PosteriorMixin(RegistrationMixin):
    """The pass over the data that every accessor of the family shares.

    Attributes
    ----------
    component_names_
        Name of every component: those tied to a label have its name (``"T_1"``, ``"T_2"`` where it
        has several), the free ones are ``novel_1``, …; numbers where there are no labels.
    cluster_names_
        Name of every cluster: the labels and the free components; without labels the components'
        names, or numbers by falling size where components were merged.
    cluster_of_component_
        Position in ``cluster_names_`` of every component's cluster.
    style_use_
        Variance over the training cells of every dimension of the mean of q(w | x); a dimension
        is active above .01 :cite:p:`burda2016`. ``None`` before training.
    new_components_
        Weights, means, scales and threshold of the components that a query added to its
        reference's (:class:`mixvi.model.growth.NewComponents`), or ``None``.
    """

    module: MixtureVAE
    component_names_: list[str]
    cluster_names_: list[str]
    cluster_of_component_: list[int]
    style_use_: list[float] | None = None
    style_center_: list[float] | None = None
    new_components_: dict[str, Any] | None = None

    @property
    def _grown(self) -> NewComponents | None:
        """Components that were added to a reference's."""
        if self.new_components_ is None:
            return None
        new = self.new_components_
        weights, means, scales = (np.asarray(new[k]) for k in ("weights", "means", "scales"))
        return NewComponents(weights, means, scales, float(new["threshold"]))

    def _loader(
        self,
        adata: AnnData | None,
        indices: Sequence[int] | None,
        batch_size: int | None,
        dataloader: Iterator[dict[str, Tensor]] | None,
    ) -> Iterator[dict[str, Tensor]]:
        """The mini-batches that every accessor works on."""
        check_trained(self)
        validate_adata_or_dataloader(self, adata, dataloader)
        if dataloader is not None:
            return dataloader
        adata = self._validate_anndata(adata)
        loader = self._make_data_loader(adata=adata, indices=indices, batch_size=batch_size)
        return progress(loader, "cells")

    def _make_data_loader(self, adata: AnnData, *args: Any, **kwargs: Any) -> Any:
        """scvi-tools' loader; compressed counts stay compressed."""
        kwargs.setdefault("load_sparse_tensor", True)
        return super()._make_data_loader(adata, *args, **kwargs)

    @torch.inference_mode()
    def _batches(
        self,
        adata: AnnData | None,
        indices: Sequence[int] | None,
        batch_size: int | None,
        dataloader: Iterator[dict[str, Tensor]] | None,
        quantities: Sequence[str],
    ) -> Iterator[dict[str, np.ndarray]]:
        """What is asked for about the cells of one mini-batch after another."""
        prior, grown = self.module.prior, self._grown
        compute: dict[str, Callable[[Encoded], Tensor]] = {
            "latent": lambda cells: cells.qz.loc,
            "probs": lambda cells: prior.responsibilities(cells.qz, cells.c),
            "logits": lambda cells: prior.assignment(cells.qz.loc, cells.c).logits,
            "novelty": lambda cells: -prior.log_occupancy(cells.qz.loc, cells.c),
            "occupancies": lambda cells: prior.log_occupancies(cells.qz.loc, cells.c),
            "c": lambda cells: cells.c,
        }
        needed = set(quantities)
        if grown is not None and "probs" in needed:
            needed |= {"latent", "novelty"}
        batch_size = BATCH_SIZE if batch_size is None else batch_size
        loader = self._loader(adata, indices, batch_size, dataloader)
        for cells in self._encoded(loader, with_style="style" in needed and prior.n_style > 0):
            batch = {name: compute[name](cells).cpu().numpy() for name in needed - {"style"}}
            if cells.style is not None:
                batch["style"] = self._without_noise(cells.style.cpu().numpy())
            if grown is not None and "probs" in batch:
                batch["probs"] = grown.extend(batch["probs"], batch["latent"], batch["novelty"])
            yield {name: batch[name] for name in quantities if name in batch}

    def _encoded(
        self, loader: Iterable[dict[str, Tensor]], *, with_style: bool
    ) -> Iterator[Encoded]:
        """Encode the loader's mini-batches; small ones are given together.

        What is asked of the prior afterwards costs few cells nearly as much as many.
        """
        module, waiting, n_waiting = self.module, [], 0
        for tensors in loader:
            outputs = module.posterior(tensors)
            h = outputs.get("h") if with_style else None
            style = None if h is None else module.prior.style(h).loc
            waiting.append(Encoded(outputs["qz"], outputs["c"], style))
            n_waiting += len(outputs["c"])
            if n_waiting >= BATCH_SIZE:
                yield Encoded.together(waiting)
                waiting, n_waiting = [], 0
        if waiting:
            yield Encoded.together(waiting)

    def _posterior(
        self,
        adata: AnnData | None,
        indices: Sequence[int] | None,
        batch_size: int | None,
        dataloader: Iterator[dict[str, Tensor]] | None,
        quantities: Sequence[str],
    ) -> dict[str, np.ndarray]:
        """Of all cells, in one pass.

        ``"latent"`` means, responsibilities ``"probs"``, ``"logits"`` log q(y | z), ``"novelty"``,
        the components' shares in it ``"occupancies"``, ``"style"`` (left out where there is none),
        covariates ``"c"``.
        """
        parts: dict[str, list[np.ndarray]] = {}
        for batch in self._batches(adata, indices, batch_size, dataloader, quantities):
            for name, value in batch.items():
                parts.setdefault(name, []).append(value)
        return {name: np.concatenate(parts.pop(name)) for name in list(parts)}

    def minify_adata(
        self,
        minified_data_type: str = ADATA_MINIFY_TYPE.LATENT_POSTERIOR,
        use_latent_qzm_key: str = "X_latent_qzm",
        use_latent_qzv_key: str = "X_latent_qzv",
    ) -> None:
        """Keep where the cells are in place of their counts, in a new AnnData of the model.

        Parameters
        ----------
        minified_data_type
            ``"latent_posterior_parameters"``, or the same with ``"_with_counts"``.
        use_latent_qzm_key, use_latent_qzv_key
            Keys of ``obsm`` with mean and variance of q(z | x); computed if they are not there.
        """
        cells, keys = self.adata, (use_latent_qzm_key, use_latent_qzv_key)
        missing = [key for key in keys if key not in cells.obsm]
        if missing:
            moments = self.get_latent_representation(return_dist=True)
            computed = dict(zip(keys, moments, strict=True))
            cells.obsm.update({key: computed[key] for key in missing})
        try:
            super().minify_adata(minified_data_type, *keys)
        finally:
            for adata in {id(each): each for each in (cells, self.adata)}.values():
                for key in missing:
                    adata.obsm.pop(key, None)

    def _active_style(self) -> np.ndarray:
        return np.asarray(self.style_use_) > ACTIVE

    def _without_noise(self, style: np.ndarray) -> np.ndarray:
        """Unused dimensions at their average."""
        if self.style_center_ is None:
            return style
        return np.where(self._active_style(), style, self.style_center_).astype(style.dtype)

    def _cell_names(
        self,
        adata: AnnData | None,
        indices: Sequence[int] | None,
        dataloader: Iterator[dict[str, Tensor]] | None,
    ) -> pd.Index | None:
        if dataloader is not None:
            return None
        names = (self.adata if adata is None else adata).obs_names
        return names if indices is None else names[np.asarray(indices)]
