"""Which cells are held out of training, and in what layout the others come."""

from __future__ import annotations

from typing import Any

import numpy as np
from scvi import REGISTRY_KEYS, dataloaders

from mixvi.distributions.ranks import together

from .ranks import from_first_rank

__all__ = ["DataSplitter"]


# scvi-tools looks at the name of the class: its checks are made for one that is called so
class DataSplitter(dataloaders.DataSplitter):
    """Hold cells without a label out of training, where there are enough of them.

    A label that few cells have may be lost to training otherwise. Compressed counts stay
    compressed.

    Parameters
    ----------
    adata_manager
        Cells.
    n_labels
        Number of known labels; cells with other codes have none.
    **kwargs
        For scvi-tools' data splitter.
    """

    train_idx: np.ndarray
    val_idx: np.ndarray
    test_idx: np.ndarray

    def __init__(self, adata_manager: Any, *, n_labels: int = 0, **kwargs: Any):
        super().__init__(adata_manager, **kwargs)
        self.n_labels = n_labels

    def setup(self, stage: str | None = None) -> None:
        """Draw training, validation and test cells."""
        super().setup(stage)
        self._hold_out_unlabeled()
        if self.data_loader_kwargs.get("distributed_sampler"):  # each would draw its own
            with together():
                self.train_idx, self.val_idx, self.test_idx = from_first_rank(
                    (self.train_idx, self.val_idx, self.test_idx)
                )

    def _hold_out_unlabeled(self) -> None:
        if not self.n_labels or self.external_indexing is not None or not self.shuffle_set_split:
            return
        codes = self.adata_manager.get_from_registry(REGISTRY_KEYS.LABELS_KEY).ravel()
        cells = np.concatenate([self.val_idx, self.test_idx, self.train_idx])
        cells = cells[np.argsort(codes[cells] < self.n_labels, kind="stable")]
        n_held_out = len(self.val_idx) + len(self.test_idx)
        self.val_idx, self.test_idx, self.train_idx = np.split(
            cells, [len(self.val_idx), n_held_out]
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Leave compressed matrices as they are: scvi-tools makes them dense here."""
        return batch
