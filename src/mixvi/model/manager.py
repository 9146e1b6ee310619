"""Registered cells, which come in the order they are asked for, from disk too."""

from __future__ import annotations

from typing import Any

from scipy.sparse import csr_matrix
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from torch.utils.data import Subset

from .rows import Compressed, InOrder

__all__ = ["CellManager", "attach"]

ATTRIBUTE = "_mixvi_managers"  # of an AnnData


class CellManager(AnnDataManager):
    """scvi-tools' manager, whose data sets sort cells on disk without saying so."""

    def create_torch_dataset(
        self, indices: Any = None, data_and_attributes: Any = None, load_sparse_tensor: bool = False
    ) -> Any:
        """Cells for a data loader, in the order of ``indices``.

        Asked for compressed they come so where that is possible and fast: from a CSR matrix in
        memory that holds every entry once. A log of an entry's parts is not the log of their sum.
        """
        X = self.get_from_registry(REGISTRY_KEYS.X_KEY)
        dataset: Any = super().create_torch_dataset(None, data_and_attributes)
        types = dict(dataset.keys_and_dtypes)
        compressed = isinstance(X, csr_matrix) and X.has_canonical_format
        if load_sparse_tensor and compressed and REGISTRY_KEYS.X_KEY in types:
            of_counts = types.pop(REGISTRY_KEYS.X_KEY)
            dataset.keys_and_dtypes = types
            return Compressed(X, of_counts, dataset, indices)
        if self.adata.isbacked:
            dataset = InOrder(dataset)
        return dataset if indices is None else Subset(dataset, indices)


class Kept(dict):
    """Managers by what they are for; not copied or pickled with the cells."""

    def __reduce__(self) -> tuple[type, tuple]:
        return type(self), ()

    def __deepcopy__(self, memo: Any) -> Kept:
        return type(self)()


def attach(manager: AnnDataManager, purpose: str) -> None:
    """Let an AnnData hold its manager, so that both are freed together.

    Parameters
    ----------
    manager
        The manager; it takes the place of an earlier one for the same purpose.
    purpose
        What it is for.
    """
    vars(manager.adata).setdefault(ATTRIBUTE, Kept())[purpose] = manager
