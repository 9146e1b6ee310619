"""What is said is as sure as it sounds: probabilities, intervals, alarms, and doubts."""

import logging

import anndata
import numpy as np
import pytest
import scvi
import torch
from tests.trust.cells import QUICK
from torch.distributions import Normal

from mixvi import datasets
from mixvi.metrics import certainty, expected_calibration_error, uncertainty_coefficient
from mixvi.model import CGMDVAE, RMVE


def test_what_a_cluster_tells_of_a_batch():
    batch = np.repeat(["a", "b"], 500)
    assert uncertainty_coefficient(batch, batch) == pytest.approx(1, abs=0.01)
    assert uncertainty_coefficient(batch, np.tile(["x", "y"], 500)) == 0
    assert uncertainty_coefficient(np.repeat("a", 1000), batch) == 0
    # half of the cells in a cluster of their batch, the others in one of both: half a bit of one
    mixed = np.where(np.arange(1000) % 2, batch, "both")
    assert uncertainty_coefficient(batch, mixed) == pytest.approx(0.5, abs=0.01)
    # a batch for every cell: a table of chance
    assert uncertainty_coefficient(np.arange(1000), batch) < 0.05


def test_what_a_cell_tells_of_its_cluster():
    sure = np.eye(4)[np.arange(100) % 4]
    assert certainty(sure) == pytest.approx(1)
    assert certainty(np.full((100, 4), 0.25)) == pytest.approx(0, abs=1e-12)
    assert certainty(np.tile([0.7, 0.2, 0.1], (50, 1))) == pytest.approx(0, abs=1e-12)
    assert certainty(np.ones((5, 1))) == 1


@pytest.mark.contract
@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
def test_noise_is_no_clusters(cls, caplog):
    """Counts of independent genes: one cluster, or a word about it."""
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(rng.poisson(rng.gamma(2, 3, 40) + 0.2, (200, 40)).astype(np.float32))
    cls.setup_anndata(adata)
    scvi.settings.seed = 0
    model = cls(adata, n_components="auto", n_hidden=32)
    model.train(**QUICK | {"max_epochs": 10})
    model.annotate(key_added="mix")
    assert len(model.cluster_names_) == 1 or "may form no clusters" in caplog.text


@pytest.mark.contract
@pytest.mark.parametrize(("confounded", "words"), [(True, 1), (False, 0)])
def test_batches_that_are_clusters(confounded, words, caplog):
    adata = datasets.simulate(240, 60, n_components=3, separation=10, depth=500, rng=0)
    labels = adata.obs["component"].astype(str)
    adata.obs["type"] = labels
    adata.obs["donor"] = labels.to_numpy() if confounded else np.tile(["a", "b"], 120)
    RMVE.setup_anndata(adata, batch_key="donor", labels_key="type")
    scvi.settings.seed = 0
    model = RMVE(adata, n_components=3, n_hidden=32, n_latent=5)
    # what is confounded is explained by the donor from the start, so z learns of labels late
    model.train(**QUICK | {"max_epochs": 80})
    assert (model.predict() == labels).mean() > 0.9
    with caplog.at_level(logging.WARNING):
        model.annotate(key_added="mix")
    assert caplog.text.count("are confounded") == words
    assert caplog.text.count("'donor'") == words


@pytest.fixture(scope="module", params=[CGMDVAE, RMVE])
def drawn(request):
    """A model of overlapping clusters, trained until it is done, and cells that it never saw."""
    everything = datasets.simulate(
        4000, 60, n_components=4, separation=4, depth=300, imbalance=2, rng=1
    )
    adata, fresh = everything[:2000].copy(), everything[2000:].copy()
    scvi.settings.seed = 0
    request.param.setup_anndata(adata)
    model = request.param(adata, n_components=4, n_hidden=64, n_latent=5)
    model.train(**QUICK | {"max_epochs": 300, "batch_size": 128}, train_size=0.6)
    return model, fresh


@pytest.mark.slow
def test_probabilities_of_components_are_calibrated(drawn):
    """Cells drawn from the model, whose components are known: confidence is the rate of success."""
    model, _ = drawn
    scvi.settings.seed = 1
    names = model.component_names_
    share = model.module.prior.weights().detach().numpy().astype(float)
    counts = np.random.default_rng(0).multinomial(6000, share / share.sum())
    X = np.concatenate(
        [model.sample(n, component=name) for name, n in zip(names, counts, strict=True) if n]
    )
    truth = np.repeat(names, counts)
    kept = X.sum(1) > 0
    adata = anndata.AnnData(X[kept], var=model.adata.var)
    probs = model.predict_proba(adata, level="component")
    right = probs.columns.to_numpy()[probs.to_numpy().argmax(1)] == truth[kept]
    assert expected_calibration_error(probs.max(axis=1), right) < 0.03


@pytest.fixture(scope="module")
def known_expression(drawn):
    """Cells drawn from the model, and what is known of them: their expression."""
    model, _ = drawn
    torch.manual_seed(2)
    with torch.inference_mode():
        c = torch.zeros(600, len(model.module.covariates))
        z = model.module.prior.sample(c)
        px = model.module.generative(z, torch.full((600, 1), np.log(300.0)), c)["px"]
        return model, px.sample(), px.scale


def coverage(rank):
    """Share of central intervals that hold the truth, of which this is the rank in (0, 1)."""
    return {p: float((np.abs(rank - 0.5) <= p / 2).mean()) for p in (0.5, 0.8, 0.9, 0.95)}


@pytest.mark.slow
def test_intervals_cover_what_they_say(known_expression):
    """They are of the normal approximation, which is a little too narrow: by no more than this."""
    model, X, truth = known_expression
    adata = anndata.AnnData(X.numpy(), var=model.adata.var)
    scvi.settings.seed = 3
    draws = model.get_normalized_expression(
        adata, n_samples=199, return_mean=False, return_numpy=True
    )
    for level, share in coverage((draws < truth.numpy()).mean(0)).items():
        assert level - 0.06 < share < level + 0.03


@pytest.mark.slow
def test_intervals_of_the_posterior_itself(known_expression):
    """Draws that are weighted by p(x, z) / q(z | x) are the posterior's: what is left is noise."""
    model, X, truth = known_expression
    adata = anndata.AnnData(X.numpy(), var=model.adata.var)
    mean, variance = map(torch.tensor, model.get_latent_representation(adata, return_dist=True))
    q = Normal(mean, variance.sqrt())
    library, c = X.sum(1, keepdim=True).log(), torch.zeros(600, len(model.module.covariates))
    torch.manual_seed(3)
    below, log_weight = [], []
    with torch.inference_mode():
        for _ in range(1_000):
            z = q.sample()
            px = model.module.generative(z, library, c)["px"]
            log_p = px.log_prob(X).sum(1) + model.module.prior.log_prob(z, c)
            log_weight.append(log_p - q.log_prob(z).sum(1))
            below.append(px.scale < truth)
    weight = torch.stack(log_weight).softmax(0)
    rank = torch.einsum("sn,sng->ng", weight, torch.stack(below).float()).numpy()
    for level, share in coverage(rank).items():
        assert share == pytest.approx(level, abs=0.02)


@pytest.mark.slow
def test_known_cells_are_called_new_as_often_as_stated(drawn):
    model, fresh = drawn
    assert model.novelty_cells_ == 800
    for rate in (0.01, 0.05, 0.1):
        assert model.is_novel(fresh, false_alarm_rate=rate).mean() == pytest.approx(rate, abs=0.02)
