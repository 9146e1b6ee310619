"""Cells that the mixture does not know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from anndata import AnnData
from torch import Tensor

from .posterior import PosteriorMixin
from .untrained import check_trained

__all__ = ["FALSE_ALARM_RATE", "NoveltyMixin"]

FALSE_ALARM_RATE = 0.05
N_QUANTILES = 1_001


class NoveltyMixin(PosteriorMixin):
    """How far from everything known a cell is, and from where on it counts as new.

    Attributes
    ----------
    novelty_quantiles_
        Quantiles of the novelty of cells that were held out from training, evenly spaced from the
        lowest to the highest. ``None`` before training.
    """

    novelty_quantiles_: list[float] | None = None

    def get_novelty(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
    ) -> np.ndarray:
        r"""−log p(z) of every cell, in nats: large where no component is near that has cells.

        .. math:: -\log \sum_k \hat\pi_k\, N(z|\mu_k, \sigma_k^2)

        at the mean of q(z | x), with the components' shares of the training cells as weights.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells to use; by default those that the model was made with.
        """
        return self._posterior(adata, indices, batch_size, dataloader)["novelty"]

    def novelty_threshold(self, false_alarm_rate: float = FALSE_ALARM_RATE) -> float:
        """Novelty that a share of held-out training cells exceeds.

        Parameters
        ----------
        false_alarm_rate
            Share of known cells that may be called new. Smaller: fewer false alarms, and fewer of
            the new cells are found.

        Raises
        ------
        ValueError
            If the rate is not between 0 and 1.
        RuntimeError
            If the model has not been calibrated.
        """
        if not 0 < false_alarm_rate < 1:
            raise ValueError(
                f"expected false_alarm_rate between 0 and 1, found {false_alarm_rate}; .05 calls "
                "one known cell in twenty new"
            )
        if self.novelty_quantiles_ is None:
            check_trained(self)
            raise RuntimeError(
                "expected a model that was calibrated in training, found none of its quantiles; "
                "call calibrate_novelty with known cells that were not trained on"
            )
        levels = np.linspace(0, 1, len(self.novelty_quantiles_))
        return float(np.interp(1 - false_alarm_rate, levels, self.novelty_quantiles_))

    def calibrate_novelty(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
    ) -> None:
        """Take the novelty of known cells as the scale; :meth:`train` does it by itself.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells of known types that were not trained on, for example of a batch that was left
            out: the more they differ from the training cells as new data will, the truer the rate
            of false alarms. By default the cells held out for validation, or all where none were.
        """
        if adata is None and dataloader is None and indices is None:
            held_out = self.validation_indices
            indices = held_out if held_out is not None and len(held_out) else None
        novelty = self.get_novelty(adata, indices, batch_size, dataloader)
        self.novelty_quantiles_ = np.quantile(
            novelty.astype(float), np.linspace(0, 1, N_QUANTILES)
        ).tolist()

    def is_novel(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
        *,
        false_alarm_rate: float = FALSE_ALARM_RATE,
    ) -> np.ndarray:
        """Whether every cell's novelty is above :meth:`novelty_threshold`.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells to use; by default those that the model was made with.
        false_alarm_rate
            Share of known cells that may be called new.
        """
        threshold = self.novelty_threshold(false_alarm_rate)
        return self.get_novelty(adata, indices, batch_size, dataloader) > threshold
