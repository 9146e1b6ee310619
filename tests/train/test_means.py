"""Where the decoder starts."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from mixvi import datasets
from mixvi.metrics import adjusted_rand_index, within_type_mixing
from mixvi.model import RMVE
from mixvi.train.means import additive_start, start_at_means

pytestmark = pytest.mark.law


def started(adata, likelihood="nb", **setup):
    """A model that was started and not trained, whose hidden layer has no say."""
    RMVE.setup_anndata(adata, **setup)
    torch.manual_seed(0)
    model = RMVE(adata, n_components=2, n_hidden=8, gene_likelihood=likelihood)
    start_at_means(model.module, model._make_data_loader(adata, batch_size=64))
    with torch.no_grad():
        model.module.likelihood.head.weight[:, :8] = 0
    model.module.eval()
    return model


def expected(model, adata):
    """Mean of p(x | z, c) of every cell, freed of its depth."""
    (tensors,) = model._make_data_loader(adata, batch_size=adata.n_obs)
    with torch.no_grad():
        _, generative = model.module(tensors, compute_loss=False)
    return generative["px"].get_normalized("scale").numpy()


@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson", "normal", "bernoulli"])
def test_every_batch_starts_at_its_own_mean(likelihood):
    adata = datasets.simulate(3_000, 30, n_batches=3, batch_effect=1.0, depth=3_000, rng=0)
    if likelihood == "normal":
        adata.X = np.log1p(adata.X.toarray())
    if likelihood == "bernoulli":
        adata.X = (adata.X.toarray() > 30).astype(np.float32)
    found = expected(started(adata, likelihood, batch_key="batch"), adata)
    x = adata.X if likelihood in ("normal", "bernoulli") else adata.X.toarray()
    for batch in adata.obs["batch"].unique():
        own = (adata.obs["batch"] == batch).to_numpy()
        mean = x[own].mean(0)
        if likelihood not in ("normal", "bernoulli"):
            mean = x[own].sum(0) / x[own].sum()
        # ten cells of the average are thought to be in every batch besides
        atol = 0.01 if likelihood == "bernoulli" else 0.002
        np.testing.assert_allclose(found[own][0], mean, rtol=0.05, atol=atol)


def test_size_factors_and_no_covariates():
    adata = datasets.simulate(500, 30, rng=0)
    adata.obs["factor"] = np.asarray(adata.X.sum(1)).ravel() / 1_000
    found = expected(started(adata, size_factor_key="factor"), adata)
    mean = np.asarray(adata.X.sum(0)).ravel() / adata.obs["factor"].sum()
    np.testing.assert_allclose(found[0], mean, rtol=1e-4)


def test_effects_of_two_covariates_are_told_apart():
    """Also where the one is more frequent in some categories of the other."""
    rng = np.random.default_rng(0)
    first = rng.integers(3, size=5_000)
    second = (rng.uniform(size=5_000) < np.array([0.2, 0.5, 0.8])[first]).astype(int)
    effects = [rng.normal(size=(n, 4)) for n in (3, 2)]
    values = 1.5 + effects[0][first] + effects[1][second]
    design = np.column_stack([np.ones(5_000), np.eye(3)[first], np.eye(2)[second]])
    means = design.T @ values / design.sum(0)[:, None]
    b, B = additive_start(torch.as_tensor(means), torch.as_tensor(design.T @ design))
    np.testing.assert_allclose(b.numpy() + design[:, 1:] @ B.numpy(), values, atol=1e-8)


def test_covariates_that_say_the_same_share_the_effect():
    codes = np.arange(600) % 3
    design = np.column_stack([np.ones(600), np.eye(3)[codes], np.eye(3)[codes]])
    values = np.array([[1.0], [4.0], [7.0]])[codes]
    means = design.T @ values / design.sum(0)[:, None]
    b, B = additive_start(torch.as_tensor(means), torch.as_tensor(design.T @ design))
    np.testing.assert_allclose(B[:3], B[3:], atol=1e-9)
    np.testing.assert_allclose(b.numpy() + design[:, 1:] @ B.numpy(), values, atol=1e-9)


def test_categories_without_cells_start_without_an_effect():
    together = torch.tensor([[10.0, 10.0, 0.0], [10.0, 10.0, 0.0], [0.0, 0.0, 0.0]])
    b, B = additive_start(torch.tensor([[2.0], [2.0], [float("nan")]]), together)
    assert torch.equal(B, torch.zeros(2, 1))
    assert b.item() == 2


def test_genes_without_counts_are_finite():
    adata = datasets.simulate(200, 20, n_batches=2, rng=0)
    X = adata.X.toarray()
    X[:, 3] = 0
    X[:, 4] *= (adata.obs["batch"] == adata.obs["batch"].iloc[0]).to_numpy()
    adata.X = X
    head = started(adata, batch_key="batch").module.likelihood.head
    assert torch.isfinite(head.weight).all()
    assert torch.isfinite(head.bias).all()
    assert softmax(head.bias.detach())[3] < 1e-6


@pytest.mark.slow
def test_strong_batches_do_not_become_clusters():
    """Without this start a run of default length ends with clusters of one batch each."""
    adata = datasets.simulate(
        3_000, 500, n_components=6, n_batches=3, batch_effect=1.0, separation=4, depth=1_500, rng=0
    )
    RMVE.setup_anndata(adata, batch_key="batch")
    torch.manual_seed(0)
    model = RMVE(adata)
    model.train(accelerator="cpu", enable_progress_bar=False)
    types, batch = adata.obs["component"].astype(str), adata.obs["batch"].astype(str)
    z = model.get_latent_representation()
    assert within_type_mixing(z, batch.to_numpy(), types.to_numpy()) > 0.8
    assert adjusted_rand_index(types.to_numpy(), np.asarray(model.predict())) > 0.8
