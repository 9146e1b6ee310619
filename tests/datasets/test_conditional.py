import numpy as np
import pytest
from sklearn.cluster import KMeans

from mixvi.datasets import simulate_conditional
from mixvi.metrics import clustering_scores


def centers(adata):
    truth = adata.uns["simulation"]
    return truth["class_means"][:, None] + truth["condition_shifts"][None]


def test_default_shape():
    adata = simulate_conditional(rng=0)
    assert adata.shape == (5 * 2 * 350, 16)
    assert isinstance(adata.X, np.ndarray)
    assert adata.X.dtype == np.float32
    sizes = adata.obs.groupby(["class", "condition"], observed=False).size()
    assert (sizes == 350).all()
    assert list(adata.obs["class"].cat.categories) == [f"class_{k}" for k in range(5)]
    assert list(adata.obs["condition"].cat.categories) == ["condition_0", "condition_1"]


@pytest.mark.law
@pytest.mark.parametrize("rng", range(20))
def test_draws_lie_in_the_stated_ranges(rng):
    adata = simulate_conditional(2, n_conditions=3, rng=rng)
    truth = adata.uns["simulation"]
    assert ((truth["class_means"] >= 0) & (truth["class_means"] <= 10)).all()
    steps = np.diff(truth["condition_shifts"], axis=0)
    assert (truth["condition_shifts"][0] == 0).all()
    assert ((steps >= 1.2) & (steps <= 1.7)).all()
    group = centers(adata).reshape(-1, 16)
    label = np.arange(5).repeat(3)
    distance = np.linalg.norm(group[:, None] - group[None], axis=-1)
    assert distance[label[:, None] != label[None]].min() >= 8


@pytest.mark.law
def test_groups_have_the_stated_moments():
    adata = simulate_conditional(2000, n_classes=2, rng=1)
    for k in range(2):
        for c in range(2):
            inside = (adata.obs["class"] == f"class_{k}") & (
                adata.obs["condition"] == f"condition_{c}"
            )
            x = adata.X[inside.to_numpy()]
            # Standard errors: 0.011 and 0.008.
            np.testing.assert_allclose(x.mean(axis=0), centers(adata)[k, c], atol=0.06)
            np.testing.assert_allclose(x.std(axis=0), 0.5, atol=0.04)


@pytest.mark.law
@pytest.mark.parametrize("rng", range(5))
def test_nearest_group_tells_class_and_condition(rng):
    adata = simulate_conditional(50, rng=rng)
    group = centers(adata).reshape(-1, 16)
    nearest = np.linalg.norm(adata.X[:, None] - group[None], axis=-1).argmin(axis=1)
    label, condition = np.divmod(nearest, 2)
    np.testing.assert_array_equal(label, adata.obs["class"].cat.codes)
    np.testing.assert_array_equal(condition, adata.obs["condition"].cat.codes)


@pytest.mark.law
@pytest.mark.parametrize("rng", range(5))
def test_classes_are_clusters(rng):
    adata = simulate_conditional(50, rng=rng)
    clusters = KMeans(5, n_init=10, random_state=0).fit_predict(adata.X)
    assert clustering_scores(adata.obs["class"], clusters)["ari"] == 1


def test_seed_and_generator():
    first, same = simulate_conditional(5, rng=3), simulate_conditional(5, rng=3)
    np.testing.assert_array_equal(first.X, same.X)
    assert first.obs.equals(same.obs)
    generator = np.random.default_rng(3)
    np.testing.assert_array_equal(first.X, simulate_conditional(5, rng=generator).X)
    assert not np.array_equal(first.X, simulate_conditional(5, rng=generator).X)


@pytest.mark.parametrize("name", ["n_per_group", "n_classes", "n_conditions", "n_vars"])
@pytest.mark.parametrize("value", [0, 2.5])
def test_bad_sizes(name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        simulate_conditional(**{name: value})


def test_no_room():
    with pytest.raises(ValueError, match="raise `n_vars`"):
        simulate_conditional(2, n_classes=50, n_vars=1, rng=0)


def test_round_trip(tmp_path):
    simulate_conditional(2, rng=0).write_h5ad(tmp_path / "blobs.h5ad")
