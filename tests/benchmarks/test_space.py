import anndata as ad
import numpy as np
import pandas as pd
import pytest
from benchmarks.space_sets import OSMFISH_PIXEL, Placed, depth_axis, load_placed
from benchmarks.store import read_rows
from scipy import sparse

from benchmarks import peers, space


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(120)]
    layer = np.repeat(["Pia Layer 1", "Layer 4", "Layer 6", "Hippocampus"], 30)
    depth = np.repeat([0.0, 4, 5, 9], 30) + rng.uniform(0, 0.5, 120)
    slope = np.tile([0.2, -0.2, 0.1], 4)  # genes of the depth and of the surface
    counts = rng.poisson(20 * np.exp(slope * depth[:, None])).astype(np.float32)
    obs = pd.DataFrame(
        {
            "cell_type": "a",
            "region": layer,
            "valid": (np.arange(120) % 10 > 0).astype(int),
            "zone": np.repeat([*"0123"], 30),
        },
        index=names,
    )
    places = np.column_stack([rng.uniform(size=120), -depth]) * 100
    cells = ad.AnnData(sparse.csr_matrix(counts), obs=obs, obsm={"spatial": places})
    for name in ("osmfish_cortex", "intestine_zonation", "bdtnp_drosophila"):
        cells.write_h5ad(tmp_path / f"{name}.h5ad")
    return tmp_path


def test_sets_know_their_places_and_hide_them(folder):
    cortex = load_placed(folder, "osmfish_cortex")
    assert cortex.adata.n_obs == 108
    original = ad.read_h5ad(folder / "osmfish_cortex.h5ad")[cortex.adata.obs_names]
    np.testing.assert_allclose(cortex.places, original.obsm["spatial"] * OSMFISH_PIXEL)
    assert cortex.axis @ [0, -1] > 0.95
    villus = load_placed(folder, "intestine_zonation")
    np.testing.assert_array_equal(villus.places[:, 0].astype(int).astype(str), villus.zones)
    embryo = load_placed(folder, "bdtnp_drosophila")
    assert embryo.likelihood == "normal"
    for placed in (cortex, villus, embryo):
        assert not placed.adata.obsm
        assert set(placed.adata.obs) <= {"cell_type"}
    with pytest.raises(ValueError, match="found 'liver'"):
        load_placed(folder, "liver")


def test_depth_does_not_look_at_other_regions():
    places = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1], [50, 3]])
    region = pd.Series(["Pia Layer 1", "Layer 6", "Pia Layer 1", "Layer 6", "Ventricle"])
    np.testing.assert_allclose(depth_axis(places, region), [1, 0], atol=1e-9)


def test_genes_are_turned_and_nothing_is_lost(folder):
    placed = load_placed(folder, "osmfish_cortex")
    x = placed.adata.layers["lognorm"].toarray()
    z = space.embed(placed, "genes", 0)
    np.testing.assert_allclose(z @ z.T, (x - x.mean(0)) @ (x - x.mean(0)).T, atol=1e-4)


def test_groups_are_zones_blocks_or_random_cells(folder):
    villus, cortex = (load_placed(folder, n) for n in ("intestine_zonation", "osmfish_cortex"))
    assert space.groups_of(villus, "groups", 0) is villus.zones
    assert len(np.unique(space.groups_of(cortex, "groups", 0))) == 10
    sizes = np.bincount(space.groups_of(cortex, "cells", 0))
    assert len(sizes) == space.N_FOLDS
    assert np.ptp(sizes) <= 1


def test_runs_resumes_and_keeps_embeddings(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(space, "N_PERMUTATIONS", 9)
    calls = []

    def scvi_latent(adata, seed, likelihood):
        calls.append((seed, likelihood))
        return peers.Embedding(np.random.default_rng(seed).normal(size=(adata.n_obs, 3)))

    monkeypatch.setattr(peers, "scvi_latent", scvi_latent)
    output = tmp_path / "space.json"
    arguments = [
        *["--data", str(folder), "--methods", "scvi,pca,mean", "--seeds", "2", "-o", str(output)],
        *["--embeddings", str(tmp_path / "kept"), "--sets", "osmfish_cortex,intestine_zonation"],
    ]
    space.main(arguments)
    found = read_rows(output)
    assert len(calls) == 4
    # per set: scvi twice both ways; the others once by groups and twice by cells
    assert len(found) == 2 * (4 + 3 + 3)
    space.main([*arguments, "--redo"])
    assert len(calls) == 4
    by = {tuple(row[key] for key in space.KEYS): row for row in found}
    pca = by["osmfish_cortex", "pca", "groups", 0]
    assert pca["depth_spearman"] > 0.8
    assert pca["r2"] > by["osmfish_cortex", "mean", "groups", 0]["r2"]
    assert 0.1 <= pca["p_value"] <= 1
    assert "p_value" not in by["osmfish_cortex", "pca", "cells", 0]
    assert by["intestine_zonation", "pca", "groups", 0]["zone_error"] < 2
    assert 0 <= pca["coverage"] <= 1


def test_mean_place_is_that_of_the_other_groups(folder):
    placed = load_placed(folder, "intestine_zonation")
    row = space.run(placed, space.embed(placed, "mean", 0), "mean", "groups", 0)
    others = {zone: placed.places[placed.zones != zone].mean() for zone in "0123"}
    error = [
        abs(place - others[z]) for place, z in zip(placed.places[:, 0], placed.zones, strict=True)
    ]
    assert row["median_distance"] == pytest.approx(np.median(error), abs=1e-6)
    assert row["spearman"] < -0.9


def test_refuses_unknown_methods(folder, capsys):
    with pytest.raises(SystemExit):
        space.main(["--data", str(folder), "--methods", "umap"])
    assert "expected --methods among rmve" in capsys.readouterr().err


def test_error_bars_that_are_right_hold_most_places():
    rng = np.random.default_rng(0)
    z, groups = rng.normal(size=(300, 3)), np.repeat(np.arange(6), 50)
    assert 0.9 < space.coverage(z, z[:, :2] + rng.normal(size=(300, 2)), groups) < 0.99


def test_scores_have_depth_only_with_an_axis(folder):
    placed = load_placed(folder, "bdtnp_drosophila")
    assert isinstance(placed, Placed)
    assert set(space.scores(placed, placed.places)) == {
        *("median_distance", "mean_distance", "r2", "spearman", "n")
    }
