import anndata as ad
import numpy as np
import pandas as pd
import pytest
from benchmarks.data import clean, covariates, data_folder, labeled, load, n_classes, prepare
from scipy import sparse


def cells(n_genes):
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(1, 2, n_genes), size=(40, n_genes)).astype(np.float32)
    counts[:, 0] = 0
    counts[0] = 0
    labels = pd.Categorical([None, None, *["a", "b"] * 19])
    obs = pd.DataFrame({"cell_type": labels, "other": 1}, index=[f"c{i}" for i in range(40)])
    var = pd.DataFrame(index=[f"g{j}" for j in range(n_genes)])
    return ad.AnnData(sparse.csr_matrix(counts), obs=obs, var=var)


def test_small_sets_keep_all_genes_but_empty_ones():
    raw = cells(50)
    ready = prepare(raw)
    kept = np.asarray(raw.X.sum(0)).ravel() > 0
    assert list(ready.var_names) == list(raw.var_names[kept])
    assert ready.n_obs == 39
    np.testing.assert_array_equal(ready.X.toarray(), raw.X.toarray()[1:, kept])


def test_lognorm_sums_to_ten_thousand_per_cell():
    totals = np.expm1(prepare(cells(50)).layers["lognorm"].toarray()).sum(1)
    np.testing.assert_allclose(totals, 1e4, rtol=1e-4)


def test_large_sets_keep_the_number_of_genes_asked_for():
    ready = prepare(cells(60), n_top_genes=20, whole_up_to=30)
    assert ready.n_vars == 20
    assert ready.layers["lognorm"].shape == ready.shape


def test_unlabeled_cells_are_kept_and_not_counted():
    ready = prepare(cells(50))
    assert labeled(ready).sum() == ready.n_obs - 1
    assert n_classes(ready) == 2


def test_only_covariates_with_several_values_are_kept():
    raw = cells(50)
    raw.obs["batch"], raw.obs["condition"] = "one", [*"xy"] * 20
    ready = prepare(raw)
    assert list(ready.obs) == ["cell_type", "condition"]
    assert covariates(ready) == {"condition_key": "condition"}


def test_words_for_no_label_are_no_labels():
    raw = cells(50)
    raw.obs["cell_type"] = [*["a", "Excluded", "NA", ""] * 10]
    found = clean(raw)
    assert found.obs["cell_type"].isna().sum() == 30
    assert n_classes(found) == 1
    assert set(raw.obs["cell_type"]) == {"a", "Excluded", "NA", ""}


def test_doublets_are_dropped():
    raw = cells(50)
    raw.obs["demuxlet"] = [*["SNG", "DBL", "SNG", "AMB"] * 10]
    assert list(clean(raw).obs_names) == list(raw.obs_names[::2])


def test_files_are_read_and_missing_ones_are_named(tmp_path):
    cells(50).write_h5ad(tmp_path / "tiny.h5ad")
    assert load(tmp_path, "tiny").n_obs == 39
    with pytest.raises(FileNotFoundError, match="found: tiny"):
        load(tmp_path, "other")
    with pytest.raises(FileNotFoundError, match="give --data"):
        data_folder(tmp_path / "nowhere")
