"""Cells that the mixture does not know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from anndata import AnnData
from torch import Tensor

from .false_alarms import attainable_rate, check_rate, threshold_of
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
        lowest to the highest; of few cells their novelty itself. ``None`` before training.
    novelty_cells_
        Number of these cells.
    """

    novelty_quantiles_: list[float] | None = None
    novelty_cells_: int | None = None

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
        return self._posterior(adata, indices, batch_size, dataloader, ["novelty"])["novelty"]

    def novelty_threshold(self, false_alarm_rate: float = FALSE_ALARM_RATE) -> float:
        """Novelty that at most a given share of known cells exceeds.

        It is taken from the cells that were held out from training so that it holds for the next
        cell of the same kind, however few they were
        (:func:`mixvi.model.false_alarms.threshold_of`).

        Parameters
        ----------
        false_alarm_rate
            Share of known cells that may be called new. Smaller: fewer false alarms, and fewer of
            the new cells are found. Below 1 / (n + 1), with n cells held out, it cannot be kept.

        Raises
        ------
        ValueError
            If the rate is not between 0 and 1.
        RuntimeError
            If the model has not been calibrated.
        """
        check_rate(false_alarm_rate)
        if self.novelty_quantiles_ is None:
            check_trained(self)
            raise RuntimeError(
                "expected a model that was calibrated in training, found none of its quantiles; "
                "call calibrate_novelty with known cells that were not trained on"
            )
        return threshold_of(
            np.asarray(self.novelty_quantiles_), self._n_calibrated, false_alarm_rate
        )

    @property
    def _n_calibrated(self) -> int:
        """Cells behind the quantiles; models of earlier versions do not say how many."""
        if self.novelty_cells_ is None:
            return len(self.novelty_quantiles_ or [])
        return self.novelty_cells_

    def _attainable_rate(self, false_alarm_rate: float) -> float:
        """The rate that :meth:`novelty_threshold` keeps."""
        return attainable_rate(false_alarm_rate, self._n_calibrated)

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
        self.novelty_cells_ = len(novelty)
        levels = np.linspace(0, 1, min(len(novelty), N_QUANTILES))
        self.novelty_quantiles_ = np.quantile(novelty.astype(float), levels).tolist()

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
