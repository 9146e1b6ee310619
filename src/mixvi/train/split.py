"""Which cells are held out of training, and in what layout the others come."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scvi import REGISTRY_KEYS, dataloaders
from torch.utils.data import DataLoader

from mixvi.distributions.ranks import together

from .ranks import from_first_rank
from .resident import on_device

__all__ = ["DataSplitter"]


# scvi-tools looks at the name of the class: its checks are made for one that is called so
class DataSplitter(dataloaders.DataSplitter):
    """Hold cells without a label out of training, where there are enough of them.

    A label that few cells have may be lost to training otherwise. Compressed counts stay
    compressed, and cells in memory are kept on a GPU where they fit
    (:class:`mixvi.train.resident.Resident`).

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

    def train_dataloader(self) -> DataLoader:
        """Mini-batches to train on."""
        return self._near(super().train_dataloader())

    def val_dataloader(self) -> DataLoader | None:
        """Held-out mini-batches."""
        loader = super().val_dataloader()
        return None if loader is None else self._near(loader)

    def _near(self, loader: DataLoader) -> DataLoader:
        """The loader, from the device that one process trains on."""
        trainer: Any = self.trainer
        if trainer is None or trainer.world_size > 1 or not self._in_memory():
            return loader
        return on_device(loader, trainer.strategy.root_device)

    def _in_memory(self) -> bool:
        X = self.adata_manager.get_from_registry(REGISTRY_KEYS.X_KEY)
        return isinstance(X, np.ndarray | sparse.csr_matrix | sparse.csr_array)

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
