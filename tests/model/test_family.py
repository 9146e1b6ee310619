"""Every member of the family as settings of RMVE or CGMDVAE, against an oracle or the truth."""

import math

import anndata
import numpy as np
import pytest
import scvi
import torch
from scipy.linalg import hadamard, subspace_angles
from sklearn.decomposition import PCA
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from mixvi import datasets
from mixvi.metrics import adjusted_rand_index
from mixvi.model import CGMDVAE, RMVE
from mixvi.priors import StandardPrior, UniformWeights

QUIET = {"accelerator": "cpu", "enable_progress_bar": False}
LINEAR = {
    "n_components": 1,
    "covariance": "unit",
    "n_layers": 0,
    "norm": "none",
    "input_dropout": 0.0,
    "dropout_rate": 0.0,
    "gene_likelihood": "normal",
}


def train(cls, adata, epochs=30, *, seed=0, lr=1e-3, setup=None, **init):
    scvi.settings.seed = seed
    cls.setup_anndata(adata, **(setup or {}))
    # masked as whole transcriptomes are by default
    model = cls(adata, **{"n_components": 4, "n_hidden": 64, "input_dropout": 0.2, **init})
    model.train(epochs, plan_kwargs={"lr": lr}, **QUIET)
    return model


def terms(model, seed=1):
    """Inference outputs and loss of all cells, with the sample of z that the loss used."""
    (tensors,) = model._make_data_loader(model.adata, batch_size=model.adata.n_obs)
    torch.manual_seed(seed)
    with torch.no_grad():
        inference, _, loss = model.module(tensors)
    return inference, loss


@pytest.fixture(scope="module")
def cells():
    return datasets.simulate(400, 100, n_components=4, separation=8, depth=500, rng=1)


def recovered(adata, model):
    return adjusted_rand_index(adata.obs["component"], model.predict())


# one component ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def isotropic():
    """Cells whose sample covariance is exactly F Fᵀ + I, all genes with the same loadings.

    Then factor analysis, which the linear model is, and PCA have the same optimum: no gene's noise
    seems larger than another's by chance.
    """
    rng = np.random.default_rng(0)
    loadings = hadamard(16)[:, 1:4] / 4 * np.array([4.0, 3.0, 2.0])
    white = PCA(whiten=True).fit_transform(rng.normal(size=(400, 16))) * math.sqrt(400 / 399)
    root = np.linalg.cholesky(loadings @ loadings.T + np.eye(16))
    return anndata.AnnData((white @ root.T + rng.normal(size=16)).astype(np.float32))


@pytest.mark.law
def test_linear_autoencoder_is_pca(isotropic):
    scvi.settings.seed = 0
    RMVE.setup_anndata(isotropic)
    model = RMVE(isotropic, n_latent=3, **LINEAR)
    for lr, epochs in [(0.05, 60), (0.01, 40), (0.002, 30)]:
        model.train(
            epochs,
            batch_size=100,
            train_size=1.0,
            early_stopping=False,
            plan_kwargs={"lr": lr},
            **QUIET,
        )
    pca = PCA(3).fit(isotropic.X)
    decoder = model.module.likelihood.loc.weight.detach().numpy()
    encoder = model.module.z_posterior.loc.weight.detach().numpy()
    assert np.degrees(subspace_angles(decoder, pca.components_.T)).max() < 2
    assert np.degrees(subspace_angles(encoder.T, pca.components_.T)).max() < 5
    # the evidence is that of probabilistic PCA, and the bound on it all but tight
    evidence = pca.score(isotropic.X)
    assert model.get_marginal_ll(n_mc_samples=100) == pytest.approx(evidence, abs=0.1)
    assert float(model.get_elbo()) == pytest.approx(evidence, abs=0.3)


@pytest.mark.law
def test_vae_has_one_divergence(cells):
    model = train(RMVE, cells, 2, n_components=1, covariance="unit")
    assert isinstance(model.module.prior, StandardPrior)
    inference, loss = terms(model)
    assert loss.kl_local.keys() == {"kl_z"}
    variance = inference["qz"].variance
    expected = 0.5 * (inference["qz"].loc.square() + variance - 1 - variance.log()).sum(-1)
    torch.testing.assert_close(loss.kl_local["kl_z"], expected)
    (reconstruction,) = loss.reconstruction_loss.values()
    torch.testing.assert_close(loss.loss, (reconstruction + expected).mean())


def explained(z, groups):
    """Share of the variance of z that lies between groups."""
    means = np.stack([z[groups == group].mean(0) for group in groups])
    return means.var(0).sum() / z.var(0).sum()


def log_ratio(a, b):
    return np.log(np.asarray(a)) - np.log(np.asarray(b))


@pytest.mark.slow
def test_conditional_vae_takes_covariates_out_and_puts_them_in():
    adata = datasets.simulate(
        600,
        100,
        n_components=3,
        n_batches=2,
        n_conditions=2,
        batch_effect=0.5,
        condition_effect=0.5,
        depth=500,
        rng=1,
    )
    one = {"n_components": 1, "covariance": "unit", "lr": 5e-3}
    plain = train(RMVE, adata, **one)
    assert explained(plain.get_latent_representation(), adata.obs["batch"]) > 0.2
    keys = {"batch_key": "batch", "condition_key": "condition"}
    model = train(RMVE, adata, setup=keys, **one)
    z = model.get_latent_representation()
    assert explained(z, adata.obs["batch"]) < 0.02
    # cells of a component differ, too: no more than the true z (.62) need lie between components
    between = explained(adata.obsm["latent"], adata.obs["component"])
    assert explained(z, adata.obs["component"]) > 0.9 * between
    # the same cells, decoded as if in another batch or condition, differ as these do in the data
    shares = adata.to_df().div(adata.to_df().sum(axis=1), axis=0)
    by_batch = [
        model.get_normalized_expression(transform_batch=name).mean(axis=0)
        for name in adata.obs["batch"].cat.categories
    ]
    true = shares.groupby(adata.obs["batch"], observed=True).mean().to_numpy()
    assert np.corrcoef(log_ratio(*by_batch), log_ratio(*true))[0, 1] > 0.97
    conditions = list(adata.obs["condition"].cat.categories)
    by_condition = model.get_component_profiles(conditions=conditions).to_numpy()
    true = shares.groupby(adata.obs["condition"], observed=True).mean().to_numpy()
    assert np.corrcoef(log_ratio(*by_condition), log_ratio(*true))[0, 1] > 0.9


# a mixture, by Bayes' rule ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vade(cells):
    return train(RMVE, cells, covariance="diag", lr=3e-3)


@pytest.mark.law
def test_vade_sums_the_component_out(vade):
    inference, loss = terms(vade)
    prior, z = vade.module.prior, inference["z"]
    p = prior.components()
    mixture = MixtureSameFamily(
        Categorical(prior.weights()), Independent(Normal(p.loc, p.scale), 1)
    )
    expected = inference["qz"].log_prob(z).sum(-1) - mixture.log_prob(z)
    assert loss.kl_local.keys() == {"kl_z", "kl_y"}
    found = loss.kl_local["kl_z"] + loss.kl_local["kl_y"]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_vade_recovers(cells, vade):
    assert recovered(cells, vade) > 0.95


@pytest.mark.parametrize("repulsion", ["mmd", "dpp"])
def test_repulsive_mixture_recovers(cells, repulsion):
    model = train(RMVE, cells, repulsion=repulsion, lr=3e-3)
    assert recovered(cells, model) > 0.95
    assert "repulsion_train" in model.history
    # the components stayed with the moments of their cells, and no gradient moved them
    prior = model.module.prior
    assert not any(parameter.requires_grad for parameter in prior.components.parameters())
    z, probs = model.get_latent_representation(), model.predict_proba().to_numpy()
    centers = probs.T @ z / probs.sum(0)[:, None]
    found = model.get_components()
    distance = ((found.means - centers) / found.scales).to_numpy()
    assert np.sqrt(np.square(distance).mean()) < 0.5


# a mixture, one posterior for every component -----------------------------------------------------


@pytest.mark.parametrize("repulsion", ["mmd", None])
def test_draft_recovers(cells, repulsion):
    """Unit components after pre-training under N(0, I): they neither merge nor collapse."""
    model = train(
        RMVE, cells, encoder="y_conditional", covariance="unit", repulsion=repulsion, lr=3e-3
    )
    assert recovered(cells, model) > 0.95
    assert (model.get_components().scales == 1).all(axis=None)
    # q(y | x) of the encoder and Bayes' rule at the moments of the mixture agree
    inference, _ = terms(model)
    by_encoder = inference["y_logits"].argmax(-1).numpy().astype(str)
    assert (by_encoder == model.predict()).mean() > 0.95


# style and Dirichlet ------------------------------------------------------------------------------


@pytest.mark.parametrize("assignment", ["network", "bayes"])
def test_gmvae_is_uniform_above_y(cells, assignment):
    settings = {"dirichlet": None, "assignment": assignment, "covariance": "diag"}
    model = train(CGMDVAE, cells, 60, **settings, lr=3e-3)
    prior = model.module.prior
    assert isinstance(prior.mixture_weights, UniformWeights)
    np.testing.assert_allclose(prior.weights(), 1 / 4)
    inference, loss = terms(model)
    assert loss.kl_local.keys() == {"kl_z", "kl_w", "kl_y"}
    q = prior.assignment(inference["z"], inference["c"])
    torch.testing.assert_close(
        loss.kl_local["kl_y"], math.log(4) - q.entropy(), rtol=1e-4, atol=1e-4
    )
    assert recovered(cells, model) > 0.95


@pytest.mark.parametrize("dirichlet", ["network", "global"])  # the third: tests/train
def test_every_dirichlet_recovers(cells, dirichlet):
    model = train(CGMDVAE, cells, dirichlet=dirichlet, lr=3e-3)
    assert recovered(cells, model) > 0.95


# labels -------------------------------------------------------------------------------------------

SUPERVISED = {
    "shared": (RMVE, {}),
    "y_conditional": (RMVE, {"encoder": "y_conditional"}),
    "CGMDVAE": (CGMDVAE, {}),
}


def labeled(adata, n_each):
    """Cells with a label for the first ``n_each`` of every component."""
    adata = adata.copy()
    known = adata.obs["component"].astype(str)
    hidden = known.groupby(known).cumcount() >= n_each
    adata.obs["labels"] = known.mask(hidden, "unknown").astype("category")
    return adata, known.to_numpy()


@pytest.mark.parametrize("member", SUPERVISED)
def test_few_labels_are_enough(cells, member):
    cls, init = SUPERVISED[member]
    adata, known = labeled(cells, 5)
    setup = {"labels_key": "labels", "unlabeled_category": "unknown"}
    model = train(cls, adata, setup=setup, lr=3e-3, **init)
    unlabeled = (adata.obs["labels"] == "unknown").to_numpy()
    assert unlabeled.mean() == 0.95
    assert (model.predict() == known)[unlabeled].mean() > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("member", SUPERVISED)
def test_all_labels_serve_new_cells(cells, member):
    cls, init = SUPERVISED[member]
    adata, known = labeled(cells, 400)
    half, rest = adata[:200].copy(), adata[200:].copy()
    model = train(cls, half, 100, setup={"labels_key": "labels"}, lr=3e-3, **init)
    assert (model.predict(rest) == known[200:]).mean() > 0.95


class Known(nn.Module):
    """Recognition of y that is sure, and right."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, h):
        return self.logits


@pytest.mark.law
@pytest.mark.parametrize("member", SUPERVISED)
def test_supervised_is_unsupervised_at_the_label(cells, member, monkeypatch):
    """Loss with labels = loss with q := label, plus the label's weighted cross-entropy."""
    cls, init = SUPERVISED[member]
    adata, _ = labeled(cells, 400)
    weight = 2.5
    setup = {"labels_key": "labels"}
    model = train(cls, adata, 2, setup=setup, label_weight=weight, **init)
    _, supervised = terms(model)
    classification = supervised.extra_metrics["classification"]
    assert classification > 0
    module = model.module
    onehot = torch.as_tensor(np.eye(4)[adata.obs["labels"].cat.codes], dtype=torch.float32)
    monkeypatch.setattr(module, "n_labels", 0)
    if member == "y_conditional":
        monkeypatch.setattr(module, "y_posterior", Known(1e3 * onehot))
    else:
        monkeypatch.setattr(
            module.prior, "assignment", lambda z, c: Categorical(probs=onehot, validate_args=False)
        )
    _, unsupervised = terms(model)
    for name, term in unsupervised.kl_local.items():
        torch.testing.assert_close(supervised.kl_local[name], term, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        supervised.loss, unsupervised.loss + weight * classification, rtol=1e-5, atol=1e-4
    )
