"""Counts that stay in zarr stores."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from scipy import sparse

from mixvi import datasets
from mixvi.model import CGMDVAE, RMVE, streaming
from mixvi.model.streaming import ZarrCells

needs_annbatch = pytest.mark.skipif(find_spec("annbatch") is None, reason="needs annbatch")
pytestmark = [
    pytest.mark.contract,
    pytest.mark.filterwarnings("ignore:.*[Zz]arr"),
    pytest.mark.filterwarnings("ignore:.*codec"),
]


@pytest.fixture
def adata():
    adata = datasets.simulate(
        1_300, 40, n_components=3, n_batches=2, separation=10, depth=500, rng=0
    )
    adata.X = sparse.csr_matrix(adata.X)
    known = np.arange(1_300) % 3 > 0
    adata.obs["labels"] = np.where(known, adata.obs["component"].astype(str), "unknown")
    return adata


@pytest.fixture
def stores(adata, tmp_path):
    paths = [tmp_path / "a.zarr", tmp_path / "b.zarr"]
    adata[:700].copy().write_zarr(paths[0])
    adata[700:].copy().write_zarr(paths[1])
    return paths


@needs_annbatch
def test_every_cell_once_with_its_columns(adata, stores):
    cells = ZarrCells(CGMDVAE, stores, batch_size=100, batch_key="batch", labels_key="labels")
    whole = list(cells.in_order())
    assert len(whole) == len(cells.in_order())
    assert whole[0]["X"].layout == torch.sparse_csr
    X = torch.cat([batch["X"].to_dense() for batch in whole]).numpy()
    np.testing.assert_array_equal(X, adata.X.toarray())
    CGMDVAE.setup_anndata(adata, batch_key="batch", labels_key="labels")
    expected = CGMDVAE(adata)._make_data_loader(adata, batch_size=100)
    for found, batch in zip(whole, expected, strict=True):
        for name in ("batch", "labels"):
            assert torch.equal(found[name], batch[name])
    train, held_out = cells.train_dataloader(), cells.val_dataloader()
    seen = [np.concatenate([b["X"].to_dense().numpy() for b in part]) for part in (train, held_out)]
    assert len(seen[0]) == cells.n_train
    assert sorted(map(bytes, np.concatenate(seen))) == sorted(map(bytes, X))
    again = np.concatenate([b["X"].to_dense().numpy() for b in train])
    assert (again != seen[0]).any()  # another order
    assert len(list(train)) == len(train)


@needs_annbatch
def test_labels_teach_and_the_model_is_saved(adata, stores, tmp_path):
    torch.manual_seed(0)
    setup = {"batch_key": "batch", "labels_key": "labels", "unlabeled_category": "unknown"}
    cells = ZarrCells(CGMDVAE, stores, batch_size=100, **setup)
    model = CGMDVAE(registry=cells.registry, n_components=5, n_hidden=32)
    model.train(30, "cpu", datamodule=cells, enable_progress_bar=False)
    predicted = model.predict(dataloader=cells.in_order())
    assert (predicted == adata.obs["component"].astype(str)).mean() > 0.9
    model.save(tmp_path / "model")
    loaded = CGMDVAE.load(tmp_path / "model", adata=False)
    np.testing.assert_array_equal(loaded.predict(dataloader=cells.in_order()), predicted)


@needs_annbatch
def test_processes_read_chunks_of_their_own(stores, monkeypatch):
    monkeypatch.setattr(streaming, "CHUNK", 64)
    cells = ZarrCells(RMVE, stores, batch_size=50)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(streaming, "n_ranks", lambda: 3)
        monkeypatch.setattr(streaming, "rank", lambda rank=rank: rank)
        stream = cells.train_dataloader()
        rows = [part for request in stream.requests() for part in request["requests"]]
        parts.append({row for part in rows for row in range(part.start, part.stop)})
        assert len(stream) == len(cells.train_dataloader())
    assert len({len(part) for part in parts}) == 1
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert set.union(*parts) <= set(cells.train_idx)


@needs_annbatch
def test_other_genes_are_refused(adata, stores, tmp_path):
    adata[:, 1:].copy().write_zarr(tmp_path / "c.zarr")
    with pytest.raises(ValueError, match=r"c\.zarr"):
        ZarrCells(RMVE, [stores[0], tmp_path / "c.zarr"])


def test_without_annbatch_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install annbatch"):
        ZarrCells(RMVE, [tmp_path])
