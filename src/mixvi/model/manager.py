"""Registered cells, which come in the order they are asked for, from disk too."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from torch.utils.data import Dataset, Subset

__all__ = ["CellManager", "attach"]

ATTRIBUTE = "_mixvi_managers"  # of an AnnData


class InOrder(Dataset):
    """Rows of a data set that gives them sorted and only once each, as HDF5 does.

    Parameters
    ----------
    dataset
        The data set.
    """

    def __init__(self, dataset: Any):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, rows: Any) -> dict[str, np.ndarray]:
        found, back = np.unique(rows, return_inverse=True)
        return {name: part[back] for name, part in self.dataset[found].items()}


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
        compressed = isinstance(X, csr_matrix) and X.has_canonical_format
        dataset: Any = super().create_torch_dataset(
            None, data_and_attributes, load_sparse_tensor=load_sparse_tensor and compressed
        )
        if load_sparse_tensor and compressed:
            _let_torch_speak()
        if self.adata.isbacked:
            dataset = InOrder(dataset)
        return dataset if indices is None else Subset(dataset, indices)


def _let_torch_speak() -> None:
    """Have torch say now, unheard, what it says once: that its compressed tensors are young.

    The operations that we use are tested.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_csr_tensor(torch.tensor([0, 1]), torch.tensor([0]), torch.ones(1), size=(1, 1))


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
