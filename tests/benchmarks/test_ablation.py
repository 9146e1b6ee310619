from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from benchmarks.store import read_rows
from scipy import sparse

from benchmarks import ablation, peers

CLUSTERS = np.array(["0", "2"])[np.arange(60) % 2]


class Model:
    def predict(self):
        return CLUSTERS

    def get_components(self):
        index = ["0", "1", "2"]  # the second has no cells, and would be the nearest
        means = pd.DataFrame([[0.0, 0.0], [0.1, 0.0], [3.0, 4.0]], index=index)
        return SimpleNamespace(means=means, scales=pd.DataFrame(np.ones((3, 2)), index=index))


@pytest.fixture
def folder(tmp_path):
    counts = np.random.default_rng(0).poisson(5, size=(60, 10)).astype(np.float32)
    obs = pd.DataFrame({"cell_type": CLUSTERS}, index=[f"c{i}" for i in range(60)])
    ad.AnnData(sparse.csr_matrix(counts), obs=obs).write_h5ad(tmp_path / "tiny.h5ad")
    return tmp_path


def test_every_strength_of_everything_and_each_once_without():
    found = ablation.settings()
    assert len(found) == 1 + 3 * 3 + 1 + 4 * 3 + 2 * 3 * 2
    assert found["CGMDVAE dirichlet=None"] == ablation.Setting("CGMDVAE", {"dirichlet": None})
    assert found["RMVE repulsion=mmd repulsion_strength=0.1"] == ablation.Setting(
        "RMVE", {"repulsion": "mmd", "repulsion_strength": 0.1}
    )
    assert found["RMVE batch_size=512 lr=0.004"] == ablation.Setting(
        "RMVE", training={"batch_size": 512, "plan_kwargs": {"lr": 0.004}}
    )


def test_separation_is_the_smallest_distance_in_standard_deviations():
    means = np.array([[0.0, 0.0], [0.0, 10.0], [0.0, 14.0]])
    scales = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 7.0]])
    # 4 / √((1 + 49) / 2), against 10 / 1 and 14 / 5
    assert ablation.separation(means, scales) == pytest.approx(0.8)
    assert ablation.separation(2 * means, 2 * scales) == pytest.approx(0.8)
    assert ablation.separation(means[:1], scales[:1]) is None


@pytest.mark.slow
def test_rows_appear_and_are_not_run_twice(folder, monkeypatch):
    calls = []

    def train(adata, seed, model_name, options, training):
        assert training == {}
        calls.append((seed, model_name, options))
        return Model()

    monkeypatch.setattr(peers, "train", train)
    output = folder / "out.json"
    command = ["--data", str(folder), "--sets", "tiny", "--seeds", "2", "-o", str(output)]
    command += ["--settings", "RMVE*=None,RMVE*=dpp*=10"]
    ablation.main(command)
    rows = read_rows(output)
    assert len(rows) == len(calls) == 4
    chosen = {"n_components": 2, "repulsion": "dpp", "repulsion_strength": 10.0}
    assert (0, "RMVE", chosen) in calls
    assert all(r["ari"] == 1 and r["n_used"] == 2 and r["separation"] == 5 for r in rows)
    ablation.main(command)
    assert len(calls) == 4


def test_unknown_settings_are_refused(folder, capsys):
    with pytest.raises(SystemExit):
        ablation.main(["--data", str(folder), "--settings", "nothing"])
    assert "CGMDVAE dirichlet=None" in capsys.readouterr().err
