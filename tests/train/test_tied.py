"""EM with a shared covariance, against scikit-learn's."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.mixture import GaussianMixture

from mixvi.train.tied import MAX_ITER, RIDGE, TOLERANCE, fit_tied, sizes_and_means

pytestmark = pytest.mark.law


@pytest.mark.parametrize("overlap", [0.5, 2.0, 4.0])
def test_scikit_learn_finds_the_same(overlap):
    z, clusters = make_blobs(
        [300, 80, 20, 200], n_features=3, cluster_std=overlap, center_box=(-9, 9), random_state=1
    )
    z = z + 100  # far from the origin
    counts, means = sizes_and_means(z, clusters)
    residuals = z - means[clusters]
    covariance = residuals.T @ residuals / len(z) + RIDGE * np.eye(3)
    slow = GaussianMixture(
        4,
        covariance_type="tied",
        reg_covar=RIDGE,
        tol=TOLERANCE,
        max_iter=MAX_ITER,
        weights_init=counts / len(z),
        means_init=means,
        precisions_init=np.linalg.inv(covariance),
    ).fit(z)
    fast = fit_tied(z, clusters)
    assert fast.log_likelihood == pytest.approx(slow.lower_bound_, abs=1e-6)
    np.testing.assert_allclose(fast.probs, slow.predict_proba(z), atol=1e-6)


def test_sizes_and_means():
    z = np.random.default_rng(0).normal(size=(50, 2))
    clusters = np.arange(50) % 3
    counts, means = sizes_and_means(z, clusters)
    for k in range(3):
        assert counts[k] == (clusters == k).sum()
        np.testing.assert_allclose(means[k], z[clusters == k].mean(0))
