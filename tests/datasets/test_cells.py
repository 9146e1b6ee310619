import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from scipy import sparse

from mixvi.datasets import cells, pbmc


@pytest.fixture(scope="module")
def adata():
    return pbmc()


@pytest.fixture(scope="module")
def bundled():
    return sc.datasets.pbmc68k_reduced()


def log1p_rounded(counts, library_size):
    values = np.round(np.log1p(counts * 1e4 / library_size[:, None]), 3)
    return sparse.csr_matrix(values, dtype=np.float32)


def test_shape_and_types(adata):
    assert adata.shape == (700, 765)
    assert isinstance(adata.X, sparse.csr_matrix)
    assert adata.X.dtype == np.float32
    assert adata.obs["cell_type"].dtype == "category"
    assert adata.obs["cell_type"].nunique() == 10
    assert adata.obs["cell_type"].notna().all()
    assert adata.obs_names.is_unique
    assert adata.var_names.is_unique
    assert {"CD79A", "NKG7"} <= set(adata.var_names)


def test_counts_are_whole_and_nothing_is_empty(adata):
    assert (adata.X.data >= 1).all()
    np.testing.assert_array_equal(adata.X.data, np.rint(adata.X.data))
    assert (adata.X.sum(axis=0) > 0).all()
    assert (adata.X.sum(axis=1) > 0).all()


def test_order_is_the_bundled_one(adata, bundled):
    assert list(adata.obs_names) == list(bundled.obs_names)
    assert list(adata.var_names) == list(bundled.raw.var_names)
    assert list(adata.obs["cell_type"]) == list(bundled.obs["bulk_labels"])


@pytest.mark.law
def test_counts_give_the_bundled_values_back(adata, bundled):
    library_size = adata.obs["n_counts"].to_numpy(dtype=float)
    values = np.log1p(adata.X.toarray().astype(float) * 1e4 / library_size[:, None])
    np.testing.assert_allclose(values, bundled.raw.X.toarray(), rtol=0, atol=0.000501)
    # 174,400 values: only such as lie at the half of a rounding step may differ in it.
    off = np.round(values, 3).astype(np.float32) != bundled.raw.X.toarray()
    assert off.mean() < 1e-4


@pytest.mark.law
def test_ratio_to_the_smallest_value_gives_the_same_counts(adata, bundled):
    # Another route, which does not use the library sizes: all these cells have a single count.
    scaled = np.expm1(bundled.raw.X.toarray().astype(float))
    smallest = np.where(scaled > 0, scaled, np.inf).min(axis=1, keepdims=True)
    np.testing.assert_array_equal(np.rint(scaled / smallest), adata.X.toarray())


@pytest.mark.law
def test_recovery_without_any_single_count():
    counts = np.array([[2, 0, 4, 6], [3, 9, 0, 3], [1, 0, 5, 2]])
    library_size = np.array([1500.0, 2000.0, 9000.0])
    found = cells._counts_from_log1p(log1p_rounded(counts, library_size), library_size)
    np.testing.assert_array_equal(found.toarray(), counts)


def test_recovery_refuses_other_values():
    library_size = np.array([1500.0, 2000.0])
    counts = np.array([[2, 0, 4], [3, 9, 1]])
    good = log1p_rounded(counts, library_size)
    with pytest.raises(RuntimeError, match="found a deviation"):
        cells._counts_from_log1p(log1p_rounded(counts + 0.5, library_size), library_size)
    with pytest.raises(RuntimeError, match="found a deviation"):
        cells._counts_from_log1p(good, library_size * 2 - 1)
    with pytest.raises(RuntimeError, match="whole numbers"):
        cells._counts_from_log1p(good, library_size + 0.5)
    # So large a count that 3 decimals cannot tell it from the next.
    with pytest.raises(RuntimeError, match="rounding intervals"):
        cells._counts_from_log1p(log1p_rounded(counts * 1000, library_size), library_size)


def test_another_file_is_noticed(monkeypatch, bundled):
    other = bundled.copy()
    other.obs["n_counts"] = other.obs["n_counts"].to_numpy()[::-1].copy()
    monkeypatch.setattr(cells.sc.datasets, "pbmc68k_reduced", lambda: other)
    with pytest.raises(RuntimeError, match="install another version of scanpy"):
        pbmc()


def test_round_trip(adata, tmp_path):
    adata.write_h5ad(tmp_path / "pbmc.h5ad")
    again = ad.read_h5ad(tmp_path / "pbmc.h5ad")
    np.testing.assert_array_equal(again.X.toarray(), adata.X.toarray())
