import numpy as np
import pytest
from benchmarks.integration import cells, main, scores
from benchmarks.peers_integration import METHODS
from benchmarks.store import read_rows
from benchmarks.table_integration import integration_page

from mixvi import datasets


@pytest.fixture
def folder(tmp_path):
    adata = datasets.simulate(300, 60, n_components=3, n_batches=2, depth=300, rng=0)
    adata.obs["cell_type"] = adata.obs["component"].astype(str)
    adata.obs["condition"] = adata.obs["batch"]
    adata.write_h5ad(tmp_path / "pbmc_multistudy.h5ad")
    return tmp_path


def test_half_of_every_type_is_known(folder):
    adata, known = cells(folder, 0, 200)
    assert adata.n_obs == len(known) == 200
    assert "condition" not in adata.obs  # the batch says it all
    share = adata.obs.assign(known=known).groupby("cell_type", observed=True)["known"].mean()
    np.testing.assert_allclose(share, 0.5, atol=0.03)


def test_scores_tell_mixed_from_apart():
    rng = np.random.default_rng(0)
    truth, batch = np.repeat(["a", "b"], 200), np.tile(["x", "y"], 200)
    z = rng.standard_normal((400, 3)) + 10 * (truth == "a")[:, None]
    mixed = scores(z, truth, truth, batch, 0)
    apart = scores(z + 5 * (batch == "x")[:, None] * np.eye(3)[0], None, truth, batch, 0)
    assert mixed["mixing"] > 0.9
    assert apart["mixing"] < 0.2
    assert mixed["ari"] == mixed["ari_kmeans"] == 1
    assert mixed["n_clusters"] == 2
    assert "ari" not in apart


@pytest.mark.parametrize("method", ["cgmdvae", "rmve_labels"])
def test_mixvi_embeds_all_cells(folder, method, monkeypatch):
    from mixvi.model import CGMDVAE, RMVE

    for cls in (CGMDVAE, RMVE):
        train = cls.train
        monkeypatch.setattr(cls, "train", lambda self, t=train, **kw: t(self, max_epochs=4, **kw))
    adata, known = cells(folder, 0, 200)
    found = METHODS[method](adata, known, 0)
    assert found.z.shape[0] == len(found.clusters) == 200
    assert np.isfinite(found.z).all()


def test_rows_are_resumed_and_shown(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.integration.scib", lambda *_: {})  # where it is installed
    output = tmp_path / "integration.json"
    arguments = ["--data", str(folder), "--seeds", "1", "-o", str(output), "--methods", "pca"]
    main(arguments)
    rows = read_rows(output)
    main(arguments)
    assert read_rows(output) == rows
    assert len(rows) == 1
    page = integration_page(rows)
    assert f"{rows[0]['mixing']:.3f}" in page
