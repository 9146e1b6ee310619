"""The style w: what all components share."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
from anndata import AnnData
from torch import Tensor

from .posterior import PosteriorMixin

__all__ = ["StyleMixin"]

logger = logging.getLogger(__name__)


class StyleMixin(PosteriorMixin):
    """The style's representation, and whether it is used at all."""

    def get_style_representation(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
    ) -> np.ndarray:
        """Mean of q(w | x), cells × style dimensions: variation that all components share.

        A dimension that the model does not use (``style_use_`` below .01: its mean hardly varies
        between the training cells, so q(w | x) ≈ p(w) whatever x) holds nothing but the noise of
        training and is returned at its average over the training cells.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells to use; by default those that the model was made with.

        Raises
        ------
        ValueError
            If the model has no style, or ``adata`` is minified (w needs the expression).
        """
        if not self.module.prior.n_style:
            raise ValueError("expected a model with a style, found n_style=0; use n_style > 0")
        if self.minified_data_type is not None and dataloader is None:
            raise ValueError(
                "expected expression to infer the style from, found minified data; get the style "
                "before minifying"
            )
        return self._posterior(adata, indices, batch_size, dataloader, ["style"])["style"]

    def _measure_style_use(self, dataloader: Iterator[dict[str, Tensor]] | None = None) -> None:
        """Find the dimensions that the trained model uses."""
        self.style_use_ = self.style_center_ = None
        if not self.module.prior.n_style:
            return
        indices = self.train_indices if dataloader is None else None
        style = self._posterior(None, indices, None, dataloader, ["style"])["style"]
        self.style_use_ = style.var(0).tolist()
        self.style_center_ = style.mean(0).tolist()
        if not self._active_style().any():
            logger.info(
                "the style w is not used: clusters and covariates explain the cells without it; "
                "n_style=0 gives the same model without its networks"
            )
