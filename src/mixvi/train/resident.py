"""Cells that lie on the device they are trained on: a mini-batch is an index, not a copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from scvi import REGISTRY_KEYS
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mixvi.distributions.sparse import is_sparse

__all__ = ["Resident", "on_device", "room_for_cells"]

CHUNK = 4096  # cells that are packed together
SHARE = 0.5  # of the free memory of a device that cells may take


class Resident(Dataset):
    """All cells of another data set, on a device, counts as the smallest integers that hold them.

    Counts lie there dense, so that every mini-batch has one shape, or compressed by rows where
    they do not fit otherwise; both ways the mini-batches are those of the other data set.

    Parameters
    ----------
    cells
        Data set that gives a dictionary of arrays or tensors for a list of rows.
    device
        Where to.
    room
        Bytes that they may take.

    Raises
    ------
    MemoryError
        If they take more.
    """

    def __init__(self, cells: Any, device: torch.device, room: float):
        self.n_cells = len(cells)
        n_genes, n_entries, packed, self.dtype = _survey(cells)
        index = torch.int16 if n_genes < 2**15 else torch.int32
        dense = self.n_cells * n_genes * packed.itemsize
        compressed = n_entries * (packed.itemsize + index.itemsize) + 8 * self.n_cells
        if min(dense, compressed) > room:
            raise MemoryError(
                f"expected room for {min(dense, compressed):,} bytes of counts, found {room:,.0f}"
            )
        self.n_genes, self.is_dense = n_genes, dense <= room
        # filled in place: parts that are put together at the end would take twice the room
        shape = (self.n_cells, n_genes) if self.is_dense else (n_entries,)
        self.counts = torch.empty(shape, dtype=packed, device=device)
        if not self.is_dense:
            self.genes = torch.empty(n_entries, dtype=index, device=device)
            self.ends = torch.zeros(self.n_cells + 1, dtype=torch.long, device=device)
        others: dict[str, list[Tensor]] = {}
        row, entry = 0, 0
        for chunk in _chunks(cells):
            x = chunk.pop(REGISTRY_KEYS.X_KEY)
            rows = slice(row, row + len(x))
            if self.is_dense:
                self.counts[rows] = (x.to_dense() if is_sparse(x) else x).to(packed).to(device)
            else:
                x = x if is_sparse(x) else x.to_sparse_csr()
                entries = slice(entry, entry + len(x.values()))
                self.counts[entries] = x.values().to(packed).to(device)
                self.genes[entries] = x.col_indices().to(index).to(device)
                self.ends[rows.start + 1 : rows.stop + 1] = entry + x.crow_indices()[1:].to(device)
                entry = entries.stop
            row = rows.stop
            for name, part in chunk.items():
                others.setdefault(name, []).append(part.to(device))
        self.others = {name: torch.cat(parts) for name, parts in others.items()}

    def __len__(self) -> int:
        return self.n_cells

    def __getitem__(self, rows: Any) -> dict[str, Tensor]:
        at = torch.as_tensor(np.atleast_1d(rows), dtype=torch.long).to(self.counts.device)
        others = {name: part.index_select(0, at) for name, part in self.others.items()}
        return others | {REGISTRY_KEYS.X_KEY: self._counts_of(at)}

    def _counts_of(self, rows: Tensor) -> Tensor:
        if self.is_dense:
            return self.counts.index_select(0, rows).to(self.dtype)
        starts = self.ends.index_select(0, rows)
        lengths = self.ends.index_select(0, rows + 1) - starts
        ends = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        shift = torch.repeat_interleave(starts - ends[:-1], lengths)
        entries = torch.arange(len(shift), device=shift.device) + shift
        return torch.sparse_csr_tensor(
            ends,
            self.genes.index_select(0, entries).long(),
            self.counts.index_select(0, entries).to(self.dtype),
            size=(len(rows), self.n_genes),
            check_invariants=False,  # those of the cells; left open, torch warns
        )


def on_device(loader: DataLoader, device: torch.device, room: float | None = None) -> DataLoader:
    """A loader of the same mini-batches from a device, or the loader where they do not fit there.

    Parameters
    ----------
    loader
        Its sampler gives lists of rows.
    device
        Where to.
    room
        Bytes that the cells may take; by default :func:`room_for_cells`.
    """
    room = room_for_cells(device) if room is None else room
    if not room:
        return loader
    try:
        cells = Resident(loader.dataset, device, room)
    except MemoryError:
        return loader
    return DataLoader(cells, batch_size=None, sampler=loader.sampler)


def room_for_cells(device: torch.device) -> float:
    """Bytes of a device that cells may take: half of a GPU's free memory, nothing elsewhere.

    A processor reads the cells where they are.
    """
    return SHARE * torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0.0


def _chunks(cells: Any) -> Iterator[dict[str, Tensor]]:
    """All cells in their order."""
    for start in range(0, len(cells), CHUNK):
        chunk = cells[list(range(start, min(start + CHUNK, len(cells))))]
        yield {name: torch.as_tensor(part) for name, part in chunk.items()}


def _survey(cells: Any) -> tuple[int, int, torch.dtype, torch.dtype]:
    """Genes, entries that are not 0, the smallest type that holds the counts, and their own."""
    n_genes, n_entries, largest, whole, dtype = 0, 0, 0.0, True, torch.float32
    for chunk in _chunks(cells):
        x = chunk[REGISTRY_KEYS.X_KEY]
        values = x.values() if is_sparse(x) else x
        n_genes, dtype = x.shape[1], x.dtype
        n_entries += len(values) if is_sparse(x) else int(torch.count_nonzero(values))
        if values.numel():
            largest = max(largest, float(values.max()))
            whole = whole and bool((values >= 0).all() and (values == values.floor()).all())
    if whole and largest < 2**8:
        return n_genes, n_entries, torch.uint8, dtype
    return n_genes, n_entries, torch.int16 if whole and largest < 2**15 else dtype, dtype
