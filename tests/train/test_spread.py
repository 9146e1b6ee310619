"""Where the noise starts."""

import anndata as ad
import numpy as np
import pytest
import torch

from mixvi import datasets
from mixvi.distributions.continuous import MIN_SCALE
from mixvi.distributions.likelihood import EXPLAINED
from mixvi.distributions.negative_binomial import MAX_THETA
from mixvi.model import RMVE
from mixvi.train import start_at_means, start_at_spread

pytestmark = pytest.mark.law
LEFT = 1 - EXPLAINED


def started(adata, likelihood="nb", **setup):
    """Likelihood of a model that was started and not trained."""
    RMVE.setup_anndata(adata, **setup)
    torch.manual_seed(0)
    model = RMVE(adata, n_components=2, n_hidden=8, gene_likelihood=likelihood)
    loader = model._make_data_loader(adata, batch_size=64)
    start_at_means(model.module, loader)
    start_at_spread(model.module, loader)
    return model.module.likelihood


def noisy(dispersion, n_cells=6_000, n_genes=60, n_batches=1):
    """Negative binomial counts of cells that differ by depth and batch alone."""
    rng = np.random.default_rng(0)
    depth = rng.lognormal(np.log(n_genes * 10), 0.4, (n_cells, 1))
    batch = rng.integers(n_batches, size=n_cells)
    rate = np.exp(rng.normal(size=(n_batches, n_genes)))[batch]
    mean = depth * rate / rate.sum(1, keepdims=True)
    X = rng.poisson(rng.gamma(1 / dispersion, dispersion * mean)).astype(np.float32)
    return ad.AnnData(X, obs={"batch": batch.astype(str), "factor": depth.ravel() / 100})


@pytest.mark.parametrize("likelihood", ["nb", "zinb"])
@pytest.mark.parametrize("dispersion", [0.2, 1.0])
def test_dispersion_that_is_left_once_z_explains_its_part(likelihood, dispersion):
    """Depths and batches are no dispersion."""
    found = started(noisy(dispersion, n_batches=3), likelihood, batch_key="batch")
    log_theta = (found.counts if likelihood == "zinb" else found).log_theta.detach()
    assert log_theta.exp().median() == pytest.approx(1 / (LEFT * dispersion), rel=0.15)


def test_scale_that_is_left_once_z_explains_its_part():
    rng = np.random.default_rng(0)
    adata = datasets.simulate(4_000, 30, n_batches=2, rng=0)
    sd = np.linspace(0.1, 3, 30)
    shift = 5 * (adata.obs["batch"] == adata.obs["batch"].iloc[0]).to_numpy()
    adata.X = (shift[:, None] + rng.normal(size=adata.shape) * sd).astype(np.float32)
    found = started(adata, "normal", batch_key="batch")
    scale = torch.nn.functional.softplus(found.raw_scale.detach()) + MIN_SCALE
    np.testing.assert_allclose(scale, sd * np.sqrt(LEFT), rtol=0.05)


def test_genes_without_counts_start_like_the_others():
    adata = noisy(0.5, n_cells=300)
    adata.X[:, 3] = 0
    log_theta = started(adata).log_theta.detach()
    assert torch.isfinite(log_theta).all()
    assert log_theta[3] == pytest.approx(log_theta.median().item(), abs=0.2)


def test_counts_without_overdispersion():
    log_theta = started(ad.AnnData(np.ones((500, 20), dtype=np.float32))).log_theta.detach()
    assert torch.isfinite(log_theta).all()
    assert log_theta.exp().max() <= MAX_THETA * 1.001


def test_size_factors_stand_for_the_depth():
    theta = started(noisy(0.5), size_factor_key="factor").log_theta.detach().exp()
    assert theta.median() == pytest.approx(2 / LEFT, rel=0.15)


def test_likelihoods_without_noise_stay_as_they_are():
    adata = datasets.simulate(200, 20, rng=0)
    assert not hasattr(started(adata, "poisson"), "log_theta")


@pytest.mark.parametrize(("keys", "times"), [({}, 1), ({"labels_key": "component"}, 0)])
def test_with_labels_the_noise_starts_elsewhere(keys, times, monkeypatch):
    seen = []
    monkeypatch.setattr("mixvi.train.start.start_at_spread", lambda *args: seen.append(args))
    adata = datasets.simulate(60, 30, n_components=2, rng=0)
    RMVE.setup_anndata(adata, **keys)
    RMVE(adata, n_components=2, n_hidden=8).train(2, enable_progress_bar=False)
    assert len(seen) == times
