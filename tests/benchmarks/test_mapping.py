import numpy as np
import pytest
from benchmarks.mapping import main, prepare, scores, split
from benchmarks.peers_mapping import METHODS, Transfer
from benchmarks.store import read_rows
from benchmarks.table_mapping import mapping_page

from mixvi import datasets


@pytest.fixture
def folder(tmp_path):
    adata = datasets.simulate(400, 60, n_components=3, n_batches=4, depth=300, rng=0)
    adata.obs["cell_type"] = adata.obs["component"].astype(str)
    adata.obs["study"] = (
        adata.obs["batch"].astype(str).map(lambda b: "pbmc3k_10xv1" if b == "batch_0" else b)
    )
    adata.write_h5ad(tmp_path / "pbmc_multistudy.h5ad")
    adata.write_h5ad(tmp_path / "kang_pbmc_ctrl_8donors.h5ad")
    return tmp_path


@pytest.mark.parametrize("setting", ["pbmc3k", "donors"])
def test_no_experiment_is_in_both(folder, setting):
    reference, query = split(folder, setting, 0, 1_000, 50)
    assert not set(reference.obs["batch"]) & set(query.obs["batch"])
    assert not set(reference.obs_names) & set(query.obs_names)
    assert query.n_obs == 50
    known, new = prepare(reference, query)
    assert list(known.var_names) == list(new.var_names)


def test_scores():
    truth = np.array(["a", "a", "b", "new"])
    found = Transfer(np.array(["a", "b", "b", "a"]), np.array([0.0, 1, 0, 2]), np.arange(4) > 2)
    row = scores(truth, {"a", "b"}, found)
    assert row["accuracy"] == pytest.approx(2 / 3)
    assert row["macro_f1"] == pytest.approx(2 / 3)
    assert (row["auroc"], row["false_alarms"], row["found"]) == (1, 0, 1)
    assert row["false_alarms_of"] == {"a": 0, "b": 0}
    assert "auroc" not in scores(truth[:3], {"a", "b"}, Transfer(found.labels[:3], np.zeros(3)))


@pytest.mark.parametrize("method", ["svm", "logistic", "pca_knn", "pca_mahalanobis"])
def test_peers_transfer_labels(folder, method):
    reference, query = prepare(*split(folder, "pbmc3k", 0, 1_000, 100))
    found = METHODS[method](reference, query, 0)
    assert (found.labels == query.obs["cell_type"].to_numpy(dtype=str)).mean() > 0.8
    assert found.novelty.shape == (query.n_obs,)


def test_rows_are_resumed_and_shown(folder, tmp_path):
    output = tmp_path / "mapping.json"
    arguments = ["--data", str(folder), "--settings", "pbmc3k", "--seeds", "1", "-o", str(output)]
    main([*arguments, "--methods", "pca_mahalanobis", "--left-out", "nothing,component_0"])
    rows = read_rows(output)
    assert [row["left_out"] for row in rows] == ["component_0", "nothing"]
    main([*arguments, "--methods", "pca_*", "--left-out", "nothing"])
    again = read_rows(output)
    assert len(again) == 3
    assert all(row in again for row in rows)
    page = mapping_page(again)
    assert "| `pca_mahalanobis` |" in page
    assert f"{rows[0]['auroc']:.3f}" in page


def test_the_page_says_how_many_seeds_a_type_has():
    row = {"setting": "a", "method": "m", "macro_f1": 0.5, "accuracy": 0.5, "auroc": 0.7}
    cases = [("x", 0), ("x", 1), ("y", 0)]
    page = mapping_page([{**row, "left_out": name, "seed": seed} for name, seed in cases])
    assert "| `m` | 2 | 1–2 | 0.700 |" in page
