"""Rows of cells as a data loader asks for them: from the disk, or compressed."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scvi import REGISTRY_KEYS
from torch.utils.data import Dataset

__all__ = ["Compressed", "InOrder"]


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


class Compressed(Dataset):
    """Rows of a data set whose counts are compressed: those that follow each other are not copied.

    Parameters
    ----------
    counts
        CSR matrix in memory, in canonical format.
    dtype
        Of the counts given.
    others
        Data set of everything but the counts.
    indices
        Rows that there are, in this order; all by default.
    """

    def __init__(self, counts: csr_matrix, dtype: Any, others: Any, indices: Any = None):
        self.counts, self.dtype, self.others = counts, dtype, others
        _let_torch_speak()
        self.rows = np.arange(counts.shape[0]) if indices is None else np.asarray(indices)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, positions: Any) -> dict[str, Any]:
        rows = np.atleast_1d(self.rows[positions])
        follow = len(rows) > 0 and bool((np.diff(rows) == 1).all())
        part = slice(rows[0], rows[-1] + 1) if follow else rows
        # Of small things copies, which may be written: a column of pandas 3 may not.
        others = {name: np.require(x, requirements="W") for name, x in self.others[rows].items()}
        return others | {REGISTRY_KEYS.X_KEY: self._counts_of(part)}

    def _counts_of(self, rows: np.ndarray | slice) -> torch.Tensor:
        if isinstance(rows, slice):
            ends = self.counts.indptr[rows.start : rows.stop + 1]
            entries = slice(ends[0], ends[-1])
            parts = ends - ends[0], self.counts.indices[entries], self.counts.data[entries]
        else:
            part = self.counts[rows]
            parts = part.indptr, part.indices, part.data
        ends, genes, values = (part if part.flags.writeable else part.copy() for part in parts)
        return torch.sparse_csr_tensor(
            torch.from_numpy(ends),
            torch.from_numpy(genes),
            torch.from_numpy(values.astype(self.dtype, copy=False)),
            size=(len(ends) - 1, self.counts.shape[1]),
            check_invariants=False,  # SciPy made them; left open, torch warns
        )


def _let_torch_speak() -> None:
    """Have torch say now, unheard, what it says once: that its compressed tensors are young.

    The operations that we use are tested.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_csr_tensor(torch.tensor([0, 1]), torch.tensor([0]), torch.ones(1), size=(1, 1))
