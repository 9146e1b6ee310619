import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from scipy import sparse
from scipy.spatial.distance import pdist
from sklearn.cluster import KMeans

from mixvi.datasets import counts, simulate
from mixvi.metrics import adjusted_rand_index


def log_normalized(adata):
    adata = adata.copy()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    return adata.X.toarray()


def found_clusters(adata, n):
    x = log_normalized(adata)
    x -= x.mean(axis=0)
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    return KMeans(n, n_init=10, random_state=0).fit_predict(u[:, :10] * s[:10])


def test_default_shape():
    adata = simulate(rng=0)
    assert adata.shape == (2000, 500)
    assert isinstance(adata.X, sparse.csr_matrix)
    assert adata.X.dtype == np.float32
    assert adata.obsm["latent"].shape == (2000, 10)
    assert list(adata.obs["component"].cat.categories) == [f"component_{k}" for k in range(5)]
    assert list(adata.obs["batch"].cat.categories) == ["batch_0"]
    assert list(adata.obs["condition"].cat.categories) == ["condition_0"]


@pytest.mark.law
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dropout": 0.95, "depth": 20},
        {"imbalance": 1000, "n_components": 12},
        {"n_batches": 3, "n_conditions": 4, "dispersion": 0},
        {"n_components": 60, "n_batches": 60, "n_conditions": 60},
        {"depth": 1e-6},
        {"batch_effect": 500, "n_batches": 2},
        {"n_latent": 1, "separation": 0},
    ],
)
def test_whole_counts_and_nothing_empty(options):
    adata = simulate(60, 40, **options, rng=1)
    np.testing.assert_array_equal(adata.X.data, np.rint(adata.X.data))
    assert (adata.X.data > 0).all()
    assert (adata.X.sum(axis=0) > 0).all()
    assert (adata.X.sum(axis=1) > 0).all()
    for column in ("component", "batch", "condition"):
        assert (adata.obs[column].value_counts() > 0).all()


def test_forced_counts_are_reported():
    plenty = simulate(50, 20, rng=0)
    assert plenty.uns["simulation"]["n_forced"] == 0
    nothing = simulate(50, 20, depth=1e-9, rng=0)
    assert nothing.uns["simulation"]["n_forced"] == nothing.X.sum() >= 50


@pytest.mark.law
@pytest.mark.parametrize("imbalance", [1, 4, 27])
def test_sizes_fall_geometrically(imbalance):
    adata = simulate(4000, 10, n_components=4, imbalance=imbalance, rng=0)
    sizes = adata.obs["component"].value_counts().reindex([f"component_{k}" for k in range(4)])
    np.testing.assert_allclose(sizes / 4000, adata.uns["simulation"]["weights"], atol=1 / 4000)
    ratios = sizes.to_numpy()[:-1] / sizes.to_numpy()[1:]
    np.testing.assert_allclose(ratios, imbalance ** (1 / 3), rtol=0.03)


@pytest.mark.law
@pytest.mark.parametrize("n_obs", [4, 5, 17, 1000])
@pytest.mark.parametrize("ratio", [1.0, 0.5, 1e-3])
def test_sizes_add_up(n_obs, ratio):
    weights = ratio ** np.arange(4)
    sizes = counts._sizes(weights / weights.sum(), n_obs)
    assert sizes.sum() == n_obs
    assert sizes.min() >= 1


@pytest.mark.law
def test_latent_is_the_stated_mixture():
    adata = simulate(9000, 2, n_components=3, n_latent=4, separation=5, rng=2)
    z, k = adata.obsm["latent"], adata.obs["component"].cat.codes.to_numpy()
    means = np.stack([z[k == j].mean(axis=0) for j in range(3)])
    # Standard errors of 0.018 per mean and dimension.
    assert pdist(means).min() == pytest.approx(5, abs=0.15)
    np.testing.assert_allclose((z - means[k]).std(axis=0), 1, atol=0.03)


@pytest.mark.law
def test_separation_makes_clusters():
    near = simulate(400, 300, separation=0, n_components=3, rng=0)
    far = simulate(400, 300, separation=8, n_components=3, rng=0)
    assert abs(adjusted_rand_index(near.obs["component"], found_clusters(near, 3))) < 0.05
    assert adjusted_rand_index(far.obs["component"], found_clusters(far, 3)) > 0.95


@pytest.mark.law
def test_depth_and_dropout_scale_the_totals():
    full = simulate(2000, 100, depth=500, rng=0)
    half = simulate(2000, 100, depth=500, dropout=0.5, rng=0)
    totals = np.asarray(full.X.sum(axis=1)).ravel()
    assert totals.mean() == pytest.approx(500, rel=0.03)
    assert half.X.sum() / full.X.sum() == pytest.approx(0.5, rel=0.02)


@pytest.mark.law
@pytest.mark.parametrize("dispersion", [0.0, 0.5])
def test_variance_is_negative_binomial(dispersion, monkeypatch):
    # With nothing else that varies between cells, each gene is one NB sample.
    monkeypatch.setattr(counts, "_LOADING_SD", 0.0)
    monkeypatch.setattr(counts, "_DEPTH_SD", 0.0)
    adata = simulate(20_000, 20, n_components=1, dispersion=dispersion, rng=0)
    x = adata.X.toarray().astype(float)
    mean = x.mean(axis=0)
    np.testing.assert_allclose(x.var(axis=0), mean + dispersion * mean**2, rtol=0.08)


def mean_log_fold(adata, column, inside=None):
    x = log_normalized(adata)
    mask = np.ones(len(x), bool) if inside is None else inside
    second = (adata.obs[column] == f"{column}_1").to_numpy()
    return np.log(
        np.expm1(x[mask & second]).mean(axis=0) / np.expm1(x[mask & ~second]).mean(axis=0)
    )


@pytest.mark.law
@pytest.mark.parametrize("column", ["batch", "condition"])
def test_effects_have_the_stated_size(column):
    options = {"n_components": 1, "n_batches": 2, "n_conditions": 2, "depth": 20_000, "rng": 0}
    effects = {"batch_effect": 0.0, "condition_effect": 0.0}
    none = simulate(1500, 300, **options, **effects)
    some = simulate(1500, 300, **options, **{**effects, f"{column}_effect": 0.5})
    assert mean_log_fold(none, column).std() < 0.05
    # Of two batches both have an effect, of two conditions only the second.
    expected = 0.5 * (np.sqrt(2) if column == "batch" else 1)
    assert mean_log_fold(some, column).std() == pytest.approx(expected, rel=0.1)


@pytest.mark.law
def test_condition_effect_is_half_shared():
    adata = simulate(
        3000, 400, n_components=2, n_conditions=2, condition_effect=1.0, depth=20_000, rng=0
    )
    first = (adata.obs["component"] == "component_0").to_numpy()
    one = mean_log_fold(adata, "condition", first)
    other = mean_log_fold(adata, "condition", ~first)
    # Standard error of a correlation of 0.5 from 400 genes: 0.04.
    assert np.corrcoef(one, other)[0, 1] == pytest.approx(0.5, abs=0.15)


def test_one_batch_has_no_effect():
    a = simulate(50, 20, batch_effect=0.0, rng=0)
    b = simulate(50, 20, batch_effect=3.0, rng=0)
    np.testing.assert_array_equal(a.X.toarray(), b.X.toarray())


def test_seed_and_generator():
    first, same = simulate(50, 20, rng=3), simulate(50, 20, rng=3)
    np.testing.assert_array_equal(first.X.toarray(), same.X.toarray())
    assert first.obs.equals(same.obs)
    generator = np.random.default_rng(3)
    np.testing.assert_array_equal(first.X.toarray(), simulate(50, 20, rng=generator).X.toarray())
    other = simulate(50, 20, rng=generator)
    assert not np.array_equal(first.X.toarray(), other.X.toarray())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_obs", 4),
        ("n_vars", 1),
        ("n_components", 0),
        ("n_components", 2.0),
        ("n_batches", 0),
        ("n_conditions", -1),
        ("n_latent", 0),
        ("separation", -1),
        ("imbalance", 0.5),
        ("batch_effect", -0.1),
        ("condition_effect", np.nan),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("depth", 0),
        ("depth", np.inf),
        ("dispersion", -1),
        ("dispersion", "0.1"),
    ],
)
def test_bad_arguments(name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        simulate(**{name: value})


def test_round_trip(tmp_path):
    adata = simulate(50, 20, n_batches=2, rng=0)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    again = ad.read_h5ad(tmp_path / "cells.h5ad")
    assert again.uns["simulation"]["separation"] == adata.uns["simulation"]["separation"]
    np.testing.assert_array_equal(again.X.toarray(), adata.X.toarray())
