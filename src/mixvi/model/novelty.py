"""Cells that the mixture does not know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from anndata import AnnData
from torch import Tensor

from .false_alarms import attainable_rate, check_rate, threshold_of
from .posterior import PosteriorMixin
from .untrained import check_trained

__all__ = ["FALSE_ALARM_RATE", "NoveltyMixin"]

FALSE_ALARM_RATE = 0.05
N_QUANTILES = 1_001
N_TRAINED = 10_000  # trained cells whose novelty is looked at, at most
Mask = npt.NDArray[np.bool_]


class NoveltyMixin(PosteriorMixin):
    """How far from everything known a cell is, and from where on it counts as new.

    Attributes
    ----------
    novelty_quantiles_
        Quantiles of the novelty of cells that were held out from training, evenly spaced from the
        lowest to the highest; of few cells their novelty itself. ``None`` before training.
    novelty_cells_
        Number of these cells.
    trained_novelty_quantiles_
        The same of cells that were trained on. After long training on few cells their novelty is
        higher: the encoder has learned to tell every one of them apart. ``None`` before training,
        and for models of earlier versions.
    """

    novelty_quantiles_: list[float] | None = None
    novelty_cells_: int | None = None
    trained_novelty_quantiles_: list[float] | None = None

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
        self.novelty_quantiles_ = _quantiles(novelty)

    def _calibrate_trained(self) -> None:
        """Take the novelty of cells that were trained on as the scale of their own."""
        self.trained_novelty_quantiles_ = _quantiles(self.get_novelty(indices=self._some_trained()))

    def _some_trained(self) -> list[int]:
        trained = np.sort(self.train_indices)
        return trained[:: -(-len(trained) // N_TRAINED)].tolist()

    def _which_trained(self, n_obs: int, novelty_of: Callable[[list[int]], np.ndarray]) -> Mask:
        """Which cells were trained on; none, if these are not the cells of the training.

        A model may be loaded with other cells. They are told by their novelty, which is not the
        one that is stored.
        """
        which, stored = np.zeros(n_obs, dtype=bool), self.trained_novelty_quantiles_
        if stored is None or self.train_indices is None or np.max(self.train_indices) >= n_obs:
            return which
        found = _quantiles(novelty_of(self._some_trained()))
        if len(found) == len(stored) and np.allclose(found, stored, rtol=1e-3, atol=1e-3):
            which[self.train_indices] = True
        return which

    def _threshold_of_trained(self, false_alarm_rate: float) -> float:
        """Novelty that a share of the cells exceeds that were trained on."""
        quantiles = np.asarray(self.trained_novelty_quantiles_)
        levels = np.linspace(0, 1, len(quantiles))
        return float(np.interp(1 - false_alarm_rate, levels, quantiles))

    def is_novel(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
        *,
        false_alarm_rate: float = FALSE_ALARM_RATE,
    ) -> np.ndarray:
        """Whether every cell's novelty is above its threshold.

        That is :meth:`novelty_threshold` for all cells but those that were trained on. These are
        compared with each other, so that the stated share of them is called new: the most unusual
        ones.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells to use; by default those that the model was made with.
        false_alarm_rate
            Share of known cells that may be called new.
        """
        novelty = self.get_novelty(adata, indices, batch_size, dataloader)
        if indices is None:
            trained = self._which_trained(len(novelty), novelty.__getitem__)
        else:
            n_obs = (self.adata if adata is None else adata).n_obs
            of = partial(self.get_novelty, adata, batch_size=batch_size)
            trained = self._which_trained(n_obs, of)[np.asarray(indices)]
        return self._exceeds_known(novelty, trained, false_alarm_rate)

    def _exceeds_known(
        self, novelty: np.ndarray, trained: Mask, false_alarm_rate: float
    ) -> np.ndarray:
        """Which cells are more unusual than known ones of their kind, trained on or not."""
        threshold = self.novelty_threshold(false_alarm_rate)
        if trained.any():
            own = self._threshold_of_trained(false_alarm_rate)
            return novelty > np.where(trained, own, threshold)
        return novelty > threshold


def _quantiles(novelty: np.ndarray) -> list[float]:
    levels = np.linspace(0, 1, min(len(novelty), N_QUANTILES))
    return np.quantile(novelty.astype(float), levels).tolist()
