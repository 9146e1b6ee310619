"""The reliability diagram: points, interval and title against their definitions."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from mixvi.metrics import matched_calibration
from mixvi.pl import calibration


@pytest.fixture
def adata() -> ad.AnnData:
    rng = np.random.default_rng(0)
    labels = rng.choice(["T", "B", "NK"], 300)
    right = rng.random(300) < 0.8
    clusters = pd.Series(labels).map({"T": 2, "B": 0, "NK": 1}).to_numpy(copy=True)
    clusters[~right] = 3
    confidence = np.where(right, rng.uniform(0.5, 1, 300), rng.uniform(0.3, 0.9, 300))
    labels = labels.astype(object)
    labels[:20] = None
    obs = {"cgmdvae": pd.Categorical(clusters), "cgmdvae_confidence": confidence, "type": labels}
    return ad.AnnData(obs=pd.DataFrame(obs, index=[f"cell{i}" for i in range(300)]))


@pytest.mark.parametrize("n_bins", [1, 5, 10])
def test_points_are_the_bins(adata, n_bins):
    axis = calibration(adata, label_key="type", n_bins=n_bins)
    obs = adata.obs.iloc[20:]
    right = (obs["cgmdvae"] != 3).to_numpy()  # every other cluster is one label
    confidence = obs["cgmdvae_confidence"].to_numpy()
    bins = pd.cut(confidence, np.arange(n_bins + 1) / n_bins, labels=False)
    expected = [
        (confidence[bins == m].mean(), right[bins == m].mean(), int((bins == m).sum()))
        for m in np.unique(bins)
    ]
    intervals, points = axis.collections
    np.testing.assert_allclose(points.get_offsets(), [point[:2] for point in expected])
    *beside, above, below = [text.get_text() for text in axis.texts]
    assert beside == [f"{n}" for *_, n in expected]
    assert axis.get_xlabel().endswith("numbers: cells")
    assert (above, below) == ("too cautious", "too sure")
    for segment, (x, share, n) in zip(intervals.get_segments(), expected, strict=True):
        oracle = binomtest(round(share * n), n).proportion_ci(method="wilson")
        np.testing.assert_allclose(segment, [[x, oracle.low], [x, oracle.high]], atol=1e-4)
    error = matched_calibration(obs["type"], obs["cgmdvae"], confidence, n_bins)
    assert axis.get_title() == f"calibration error (ECE) {error:.3f}, n = 280"


def test_on_given_axes(adata):
    _, axis = plt.subplots()
    assert calibration(adata, label_key="type", ax=axis) is axis
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize("missing", ["cgmdvae", "cgmdvae_confidence", "type"])
def test_refuses(adata, missing):
    del adata.obs[missing]
    with pytest.raises(KeyError, match=f"'{missing}' in adata.obs"):
        calibration(adata, label_key="type")
