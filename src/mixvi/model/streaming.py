"""Cells in zarr stores, streamed by annbatch: for more of them than memory holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import torch
from lightning.pytorch import LightningDataModule
from scipy import sparse
from scvi import REGISTRY_KEYS
from torch import Tensor

from mixvi._numbers import check_at_least
from mixvi.distributions.ranks import n_ranks, rank

from .registration import RegistrationMixin

__all__ = ["ZarrCells"]

CHUNK = 256  # cells that are read together
POOL = 32  # such chunks that are in memory, and mixed


class ZarrCells(LightningDataModule):
    """Cells of AnnData stores in zarr format, whose counts stay there; needs Python 3.12.

    Cells are read in chunks of 256 in random order, and mini-batches drawn from 32 of these at a
    time: cells that lie together are trained on together, so stores should be shuffled. Columns
    of ``obs`` are read once and mean what they mean in
    :meth:`mixvi.model.CGMDVAE.setup_anndata`. Of several processes each reads chunks of its own.

    Parameters
    ----------
    model_cls
        The model that they are for.
    paths
        The stores, of the same genes in the same order, their counts as CSR in ``X``.
    batch_size
        Cells per step and process.
    validation_size
        Share of the chunks that are held out.
    seed
        Of the split and the order; the same in all processes.
    **setup
        For ``model_cls.setup_anndata``: ``batch_key``, ``labels_key`` and so on.

    Attributes
    ----------
    registry
        What a model is made from: ``model_cls(registry=cells.registry)``.

    Raises
    ------
    ImportError
        If annbatch is not installed.
    ValueError
        If the stores have different genes.

    Examples
    --------
    >>> cells = ZarrCells(CGMDVAE, ["a.zarr", "b.zarr"], batch_key="donor")  # doctest: +SKIP
    >>> model = CGMDVAE(registry=cells.registry)  # doctest: +SKIP
    >>> model.train(datamodule=cells)  # doctest: +SKIP
    >>> model.predict(dataloader=cells.in_order())  # doctest: +SKIP
    """

    def __init__(
        self,
        model_cls: type[RegistrationMixin],
        paths: Sequence[str | PathLike[str]],
        *,
        batch_size: int = 1024,
        validation_size: float = 0.1,
        seed: int = 0,
        **setup: Any,
    ):
        super().__init__()
        if find_spec("annbatch") is None:
            raise ImportError("expected annbatch, found none installed; pip install annbatch")
        import zarr

        check_at_least(1, batch_size=batch_size)
        self.batch_size, self.seed = batch_size, seed
        stores = [zarr.open_group(str(Path(path)), mode="r") for path in paths]
        self._matrices = [ad.io.sparse_dataset(store["X"]) for store in stores]
        var = ad.io.read_elem(stores[0]["var"])
        for path, store in zip(paths, stores, strict=True):
            if not ad.io.read_elem(store["var"]).index.equals(var.index):
                raise ValueError(
                    f"expected the genes of {str(paths[0])!r} in every store, found others in "
                    f"{str(path)!r}; write the stores with the same genes in the same order"
                )
        obs = pd.concat([ad.io.read_elem(store["obs"]) for store in stores])
        obs.index = pd.RangeIndex(len(obs)).astype(str)
        # what the columns mean is asked of cells without counts
        empty = sparse.csr_matrix((len(obs), len(var)), dtype=np.float32)
        self._cells = ad.AnnData(empty, obs=obs, var=pd.DataFrame(index=var.index))
        model_cls.setup_anndata(self._cells, **setup)
        manager = model_cls._get_most_recent_anndata_manager(self._cells, required=True)
        self.registry = manager.registry
        self._columns = {
            name: np.array(manager.get_from_registry(name)).reshape(len(obs), -1)
            for name in manager.data_registry
            if name != REGISTRY_KEYS.X_KEY
        }
        chunks = np.random.default_rng(seed).permutation(-(-len(obs) // CHUNK))
        n_val = min(round(validation_size * len(chunks)), len(chunks) - 1)
        self._chunks = {"val": np.sort(chunks[:n_val]), "train": chunks[n_val:]}
        self.val_idx, self.train_idx = (self._cells_of(self._chunks[n]) for n in ("val", "train"))
        self.test_idx = self.val_idx[:0]

    @property
    def n_obs(self) -> int:
        """Number of cells."""
        return self._cells.n_obs

    @property
    def n_train(self) -> int:
        """Number of cells that are trained on."""
        return len(self.train_idx)

    @property
    def n_val(self) -> int:
        """Number of cells that are held out."""
        return len(self.val_idx)

    def train_dataloader(self) -> Stream:
        """Cells to train on, in random order."""
        return Stream(self, self._chunks["train"], shuffle=True)

    def val_dataloader(self) -> Stream | None:
        """Cells that are held out."""
        return Stream(self, self._chunks["val"], shuffle=False) if self.n_val else None

    def in_order(self) -> Stream:
        """All cells as they lie in the stores, for what is asked of a trained model."""
        return Stream(self, np.arange(-(-self.n_obs // CHUNK)), shuffle=False)

    def _cells_of(self, chunks: np.ndarray) -> np.ndarray:
        cells = (CHUNK * chunks[:, None] + np.arange(CHUNK)).ravel()
        return cells[cells < self.n_obs]


class Stream:
    """Mini-batches of some chunks, as tensors by scvi-tools' names.

    Parameters
    ----------
    cells
        What they are part of.
    chunks
        Their numbers.
    shuffle
        Whether to mix them, anew in every pass.
    """

    def __init__(self, cells: ZarrCells, chunks: np.ndarray, *, shuffle: bool):
        self.cells, self.chunks, self.shuffle, self.n_passes = cells, chunks, shuffle, 0

    def __len__(self) -> int:
        sizes = [sum(map(len, cells)) for cells in self._pools(self._own(self.chunks))]
        return sum(-(-size // self.cells.batch_size) for size in sizes)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        from annbatch import Loader

        loader = Loader(batch_sampler=_sampler(self), return_index=True)
        loader.add_datasets(self.cells._matrices)
        for batch in loader:
            yield self._tensors(batch["X"].tocsr(), np.asarray(batch["index"]))

    def requests(self) -> Iterator[dict[str, Any]]:
        """What is read together, and how it is cut into mini-batches."""
        chunks, rng = self.chunks, np.random.default_rng([self.cells.seed, self.n_passes])
        if self.shuffle:
            chunks = rng.permutation(chunks)  # the same in all processes
            rng = np.random.default_rng([self.cells.seed, self.n_passes, rank()])
            self.n_passes += 1
        for pool in self._pools(self._own(chunks)):
            cells = np.arange(sum(map(len, pool)))
            if self.shuffle:
                rng.shuffle(cells)
            cuts = np.arange(self.cells.batch_size, len(cells), self.cells.batch_size)
            yield {
                "requests": [slice(part.start, part.stop) for part in pool],
                "splits": np.split(cells, cuts),
            }

    def _own(self, chunks: np.ndarray) -> np.ndarray:
        """Chunks of this process, as many as every other's; one that is not whole is the last."""
        is_whole = (chunks + 1) * CHUNK <= self.cells.n_obs
        whole = chunks[is_whole]
        if n_ranks() == 1:
            return np.concatenate([whole, chunks[~is_whole]])
        return whole[rank() :: n_ranks()][: len(whole) // n_ranks()]

    def _pools(self, chunks: np.ndarray) -> Iterator[list[range]]:
        """Ranges of cells that are in memory at a time."""
        for i in range(0, len(chunks), POOL):
            firsts = (CHUNK * chunks[i : i + POOL]).tolist()
            yield [range(first, min(first + CHUNK, self.cells.n_obs)) for first in firsts]

    def _tensors(self, X: sparse.csr_matrix, rows: np.ndarray) -> dict[str, Tensor]:
        x = torch.sparse_csr_tensor(
            torch.from_numpy(X.indptr.astype(np.int64)),
            torch.from_numpy(X.indices.astype(np.int64)),
            torch.from_numpy(X.data.astype(np.float32)),
            size=X.shape,
            check_invariants=False,
        )
        columns = self.cells._columns.items()
        return {REGISTRY_KEYS.X_KEY: x} | {
            name: torch.from_numpy(values[rows]) for name, values in columns
        }


def _sampler(stream: Stream) -> Any:
    """Annbatch's word for what is read when."""
    from annbatch.abc import Sampler

    class Requests(Sampler):
        batch_size, shuffle = stream.cells.batch_size, stream.shuffle

        def n_batches(self, n_obs: int) -> int:
            return len(stream)

        def validate(self, n_obs: int) -> None:
            pass

        def _sample(self, n_obs: int) -> Iterator[dict[str, Any]]:
            return stream.requests()

    return Requests()
