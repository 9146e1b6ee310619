import anndata as ad
import numpy as np
import pandas as pd
import pytest
from benchmarks.store import read_rows
from scipy import sparse
from sklearn.metrics import adjusted_rand_score

import mixvi.metrics
from benchmarks import clustering, peers


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    truth = np.arange(150) % 3
    counts = rng.poisson(rng.gamma(1, 5, size=(3, 40))[truth]).astype(np.float32)
    labels = pd.Categorical([None, *(f"t{k}" for k in truth[1:])])
    obs = pd.DataFrame({"cell_type": labels}, index=[f"c{i}" for i in range(150)])
    ad.AnnData(sparse.csr_matrix(counts), obs=obs).write_h5ad(tmp_path / "tiny.h5ad")
    return tmp_path


@pytest.fixture
def _scores(monkeypatch):
    def clustering_scores(labels, clusters):
        ari = adjusted_rand_score(labels, clusters)
        return {"ari": ari, "n_clusters": len(set(clusters))}

    monkeypatch.setattr(mixvi.metrics, "clustering_scores", clustering_scores, raising=False)


@pytest.mark.usefixtures("_scores")
def test_rows_appear_are_skipped_and_redone(folder):
    output = folder / "out.json"
    command = ["--data", str(folder), "--sets", "tiny", "--seeds", "1", "-o", str(output)]
    clustering.main([*command, "--methods", "pca_kmeans,pca_leiden_matched"])
    first = read_rows(output)
    assert [r["method"] for r in first] == ["pca_kmeans", "pca_leiden_matched"]
    assert all(r["ari"] == 1 and r["k"] == 3 and r["k_given"] for r in first)
    assert first[1]["parameters"]["resolution"] > 0

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


def test_every_embedding_has_every_cut_and_mixvi_its_own():
    names = clustering.methods()
    assert len(names) == 17
    assert names["cgmdvae"] == ("cgmdvae", "own")
    assert "scvi100_leiden_matched" in clustering.methods(100)


def test_own_clusters_must_exist():
    with pytest.raises(ValueError, match="clusters of its own"):
        clustering.cut(peers.Embedding(np.zeros((4, 2))), "own", 2, 0)


def test_scvi_default_epochs_follow_the_number_of_cells():
    assert peers.default_epochs(4_000) == 400
    assert peers.default_epochs(40_000) == 200
