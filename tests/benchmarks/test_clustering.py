from time import perf_counter

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from benchmarks.store import read_rows
from scipy import sparse

from benchmarks import clustering, data, peers
from mixvi.metrics import clustering_scores


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    truth = np.arange(150) % 3
    counts = rng.poisson(rng.gamma(1, 5, size=(3, 40))[truth]).astype(np.float32)
    labels = pd.Categorical([None, *(f"t{k}" for k in truth[1:])])
    obs = pd.DataFrame({"cell_type": labels}, index=[f"c{i}" for i in range(150)])
    ad.AnnData(sparse.csr_matrix(counts), obs=obs).write_h5ad(tmp_path / "tiny.h5ad")
    return tmp_path


@pytest.mark.slow
def test_rows_appear_are_skipped_and_redone(folder):
    output = folder / "out.json"
    command = ["--data", str(folder), "--sets", "tiny", "--seeds", "1", "-o", str(output)]
    clustering.main([*command, "--methods", "pca_kmeans,pca_leiden_matched"])
    first = read_rows(output)
    assert [r["method"] for r in first] == ["pca_kmeans", "pca_leiden_matched"]
    assert all(r["ari"] == 1 and r["k"] == 3 and r["k_given"] for r in first)
    assert first[1]["parameters"]["resolution"] > 0
    assert "ece" not in first[0]

    before = output.stat().st_mtime_ns
    clustering.main([*command, "--methods", "pca_kmeans"])
    assert output.stat().st_mtime_ns == before
    clustering.main([*command, "--methods", "pca_kmeans", "--redo"])
    assert output.stat().st_mtime_ns > before
    assert len(read_rows(output)) == 2


def test_unknown_methods_are_refused(folder, capsys):
    with pytest.raises(SystemExit):
        clustering.main(["--data", str(folder), "--methods", "nothing"])
    assert "pca_kmeans" in capsys.readouterr().err


def test_every_embedding_has_every_cut_and_mixtures_their_own():
    names = clustering.methods()
    assert len(names) == 6 * 4 + 1 + 6
    assert names["rmve"] == ("rmve", "own")
    assert names["cgmdvae_auto"] == ("cgmdvae_auto", "own")
    assert names["vade"] == ("vade", "own")
    assert names["pca_gmm"] == ("pca", "gmm")
    assert "scvi100_leiden_matched" in clustering.methods(100)


def test_k_is_given_in_training_or_by_the_cut():
    given = {m for m, how in clustering.methods().items() if clustering.k_given(*how)}
    assert {"pca_kmeans", "pca_gmm", "drvi_leiden_matched", "idec", "rmve"} <= given
    assert not given & {"pca_leiden_1", "scvi_leiden_0.5", "cgmdvae_auto", "rmve_auto"}


def test_nothing_is_begun_after_the_time_limit(folder):
    output = folder / "out.json"
    command = ["--data", str(folder), "--sets", "tiny", "--methods", "pca_kmeans"]
    clustering.main([*command, "--time-limit", "0", "-o", str(output)])
    assert not output.exists()
    adata, chosen = data.load(folder, "tiny"), {"pca_kmeans": ("pca", "kmeans")}
    clustering.run_set(adata, "tiny", 0, chosen, output, deadline=perf_counter() - 1)
    assert not output.exists()


def test_own_clusters_come_with_calibration_and_components(folder, monkeypatch):
    def mixvi(adata, seed, model_name, n_components):
        # one of the two wrong cells is in a cluster that no class is left for
        clusters = np.array(["a", "b", "c"])[np.arange(adata.n_obs) % 3]
        clusters[1], clusters[2] = "a", "rare"
        confidence = np.full(adata.n_obs, 0.75)
        z = np.zeros((adata.n_obs, 2))
        return peers.Embedding(z, {}, clusters, confidence, n_components=7)

    monkeypatch.setattr(peers, "mixvi", mixvi)
    output = folder / "out.json"
    adata = data.load(folder, "tiny")
    clustering.run_set(adata, "tiny", 0, {"rmve_auto": ("rmve_auto", "own")}, output)
    (row,) = read_rows(output)
    n_labeled = adata.n_obs - 1
    assert row["ece"] == pytest.approx((n_labeled - 2) / n_labeled - 0.75)
    assert (row["n_components"], row["n_clusters"], row["n_labeled"]) == (7, 4, n_labeled)
    assert not row["k_given"]


def test_correct_is_what_the_best_matching_says():
    truth = np.array([*"aaaabbb"])
    clusters = np.array([2, 2, 2, 10, 10, 10, 3])
    np.testing.assert_array_equal(
        clustering.correct(truth, clusters), [True, True, True, False, True, True, False]
    )
    score = clustering_scores(truth, clusters)["acc"]
    assert clustering.correct(truth, clusters).mean() == pytest.approx(score)


def test_ours_get_the_number_of_classes_or_auto(folder, monkeypatch):
    calls = []
    monkeypatch.setattr(peers, "mixvi", lambda *arguments: calls.append(arguments[2:]))
    adata = data.load(folder, "tiny")
    for name in ("cgmdvae", "cgmdvae_auto", "rmve", "rmve_auto"):
        clustering.embed(adata, name, 0, None)
    assert calls == [("CGMDVAE", 3), ("CGMDVAE", "auto"), ("RMVE", 3), ("RMVE", "auto")]


def test_own_clusters_must_exist():
    with pytest.raises(ValueError, match="clusters of its own"):
        clustering.cut(peers.Embedding(np.zeros((4, 2))), "own", 2, 0)
