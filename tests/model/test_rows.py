"""The fast rows of a compressed matrix are those of scvi-tools' data set."""

import numpy as np
import pytest
import scvi
import torch
from scipy.sparse import csr_matrix
from scvi.data import AnnDataManager

from mixvi import datasets
from mixvi.model import RMVE
from mixvi.model.rows import Compressed


@pytest.fixture
def manager():
    adata = datasets.simulate(40, 30, n_batches=2, n_conditions=2, depth=50, rng=0)
    counts = np.array(adata.to_df())  # a copy: what pandas gives may be read-only
    counts[7, 3:] = 0
    adata.X = csr_matrix(counts)
    adata.obs["age"] = np.linspace(0, 1, adata.n_obs)
    keys = {"batch_key": "batch", "condition_key": "condition"}
    RMVE.setup_anndata(adata, continuous_covariate_keys=["age"], **keys)
    return RMVE._get_most_recent_anndata_manager(adata)


POSITIONS = {
    "first": slice(0, 8),
    "block": list(range(5, 17)),
    "scattered": [3, 30, 7, 7, 12],
    "backwards": [9, 8, 7],
    "one": [39],
    "number": 11,
    "none": np.empty(0, dtype=int),
}


def same(found, expected):
    assert set(found) == set(expected)
    for name, part in found.items():
        other = expected[name]
        assert part.dtype == other.dtype, name
        if isinstance(part, torch.Tensor):
            part, other = part.to_dense(), other.to_dense()
        np.testing.assert_array_equal(np.asarray(part), np.asarray(other), err_msg=name)


@pytest.mark.law
@pytest.mark.parametrize("where", POSITIONS)
@pytest.mark.parametrize("subset", [False, True])
def test_rows_are_those_of_the_slow_way(manager, where, subset):
    indices = np.random.default_rng(0).permutation(40) if subset else None
    fast = manager.create_torch_dataset(indices, load_sparse_tensor=True)
    slow = AnnDataManager.create_torch_dataset(manager, None, load_sparse_tensor=True)
    positions = POSITIONS[where]
    rows = np.atleast_1d(np.arange(40)[positions])
    wanted = rows if indices is None else indices[rows]
    same(fast[positions], slow[wanted])
    assert len(fast) == len(slow) == 40


@pytest.mark.contract
def test_dtypes_and_keys_are_those_asked_for(manager):
    fast = manager.create_torch_dataset(None, {"X": np.float64, "batch": np.int32}, True)
    rows = fast[[1, 2]]
    assert {name: part.dtype for name, part in rows.items()} == {
        "X": torch.float64,
        "batch": np.int32,
    }
    assert set(manager.create_torch_dataset(None, ["batch"], True)[[1, 2]]) == {"batch"}


@pytest.mark.contract
@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.float64])
def test_counts_of_any_type_that_may_not_be_written(manager, dtype):
    X = manager.adata.X.astype(dtype)
    for part in (X.data, X.indices, X.indptr):
        part.flags.writeable = False
    manager.adata.X = X
    rows = manager.create_torch_dataset(None, None, True)[[4, 5, 6]]["X"]
    assert rows.dtype == torch.float32
    np.testing.assert_array_equal(rows.to_dense(), X[4:7].toarray())


@pytest.mark.contract
@pytest.mark.parametrize("where", [[4, 5, 6], [9, 2]])
def test_columns_that_may_not_be_written(manager, where):
    slow = AnnDataManager.create_torch_dataset(manager, None)
    for part in slow.data.values():
        if isinstance(part, np.ndarray):
            part.flags.writeable = False
    types = {name: slow.data[name].dtype for name in ("batch", "condition")}
    types["extra_continuous_covs"] = np.float64
    slow.keys_and_dtypes = types
    rows = Compressed(manager.adata.X, np.float32, slow)[where]
    for name, part in rows.items():
        if name != "X":
            assert part.flags.writeable, name
            assert not np.shares_memory(part, slow.data[name]), name


@pytest.mark.contract
def test_a_pass_leaves_the_counts_as_they_were(manager):
    adata, before = manager.adata, manager.adata.X.copy()
    scvi.settings.seed = 0
    model = RMVE(adata, n_components=2, n_hidden=8)
    model.train(2, enable_progress_bar=False)
    model.annotate()
    assert (before != adata.X).nnz == 0
    np.testing.assert_array_equal(adata.X.data, before.data)
