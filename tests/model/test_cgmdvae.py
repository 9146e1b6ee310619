"""What is CGMDVAE's own: its options, likelihoods, and the style on conditional data."""

import numpy as np
import pytest
import scvi
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from tests.model.specs import QUICK, cells

from mixvi import datasets
from mixvi.metrics import adjusted_rand_index
from mixvi.model import CGMDVAE


def model_of(likelihood):
    adata = cells()
    if likelihood == "normal":
        adata.X = np.log1p(adata.X.toarray()).astype(np.float32)
    elif likelihood == "bernoulli":
        adata.X = (adata.X.toarray() > 0).astype(np.float32)
    CGMDVAE.setup_anndata(adata, batch_key="batch")
    return CGMDVAE(adata, n_components=3, n_hidden=32, gene_likelihood=likelihood)


@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson", "normal", "bernoulli"])
def test_every_likelihood_through_the_accessors(likelihood):
    model = model_of(likelihood)
    model.train(**QUICK)
    for history in model.history.values():
        assert np.isfinite(history.to_numpy(dtype=float)).all()
    assert model.get_normalized_expression().shape == (240, 60)
    assert model.get_component_profiles().shape == (3, 60)
    assert np.isfinite(model.get_marginal_ll(n_mc_samples=3))
    assert np.isfinite(float(model.get_elbo()))
    assert model.posterior_predictive_sample().shape == (240, 60)
    assert model.sample(5).shape == (5, 60)


@pytest.mark.parametrize("dirichlet", ["collapsed", "network", "global", None])
@pytest.mark.parametrize("conditioning", ["decoder", "partial", "full"])
def test_every_form_of_the_prior_trains(dirichlet, conditioning):
    adata = cells()
    CGMDVAE.setup_anndata(adata, condition_key="condition")
    model = CGMDVAE(
        adata, n_components=3, n_hidden=16, dirichlet=dirichlet, conditioning=conditioning
    )
    model.train(**QUICK | {"max_epochs": 2})
    assert np.isfinite(model.predict_proba().to_numpy()).all()
    assert ("kl_d_train" in model.history) == (dirichlet in ("collapsed", "network"))


def test_many_components_share_style_factors():
    adata = cells()
    CGMDVAE.setup_anndata(adata)
    model = CGMDVAE(adata, n_components=60, n_hidden=16)
    model.train(**QUICK | {"max_epochs": 2})
    n_parameters = sum(p.numel() for p in model.module.prior.components.style.parameters())
    assert n_parameters < 60 * 2 * 10 * 8
    assert model.predict_proba().shape == (240, 60)


def test_size_factors_and_covariates():
    adata = cells()
    adata.obs["size"] = np.asarray(adata.X.sum(1)).ravel() / 300
    adata.obs["score"] = np.linspace(-1, 1, adata.n_obs)
    CGMDVAE.setup_anndata(
        adata,
        size_factor_key="size",
        categorical_covariate_keys=["batch", "condition"],
        continuous_covariate_keys=["score"],
    )
    model = CGMDVAE(adata, n_components=3, n_hidden=16, conditioning="partial")
    assert len(model.module.covariates) == 5
    model.train(**QUICK)
    assert np.isfinite(float(model.get_elbo()))
    assert model.get_component_profiles().shape == (3, 60)


def test_layer():
    adata = cells()
    adata.layers["counts"] = adata.X.copy()
    adata.X = adata.X * 0.5
    CGMDVAE.setup_anndata(adata, layer="counts")
    CGMDVAE(adata, n_components=3)
    CGMDVAE.setup_anndata(adata)
    with pytest.raises(ValueError, match="non-integer"):
        CGMDVAE(adata, n_components=3)


def test_more_components_than_cells_cannot_be_trained():
    adata = cells()
    CGMDVAE.setup_anndata(adata)
    model = CGMDVAE(adata, n_components=241)  # a query may well have fewer cells than the atlas
    with pytest.raises(ValueError, match=r"number of cells \(240\), found 241"):
        model.train(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dirichlet": "sparse"}, "expected dirichlet 'collapsed'"),
        ({"conditioning": "some"}, "expected conditioning to be one of"),
        ({"style_prior": "learned"}, "style and covariates for style_prior='learned'"),
        ({"assignment": "votes"}, "expected assignment to be one of"),
        ({"covariance": "round"}, "expected covariance to be one of"),
        ({"gene_likelihood": "gamma"}, "expected gene_likelihood to be one of"),
        ({"norm": "group"}, "expected norm to be one of"),
        ({"alpha": 0}, "0 < `alpha`"),
        ({"n_components": 0}, "n_components of at least 1"),
    ],
)
def test_wrong_options(options, message):
    adata = cells()
    CGMDVAE.setup_anndata(adata)
    with pytest.raises(ValueError, match=message):
        CGMDVAE(adata, **options)


def condition_from_style(style_prior, seed=0):
    scvi.settings.seed = seed
    adata = datasets.simulate_conditional(150, rng=seed)
    CGMDVAE.setup_anndata(adata, condition_key="condition")
    model = CGMDVAE(adata, n_components=5, gene_likelihood="normal", style_prior=style_prior)
    model.train(**QUICK | {"max_epochs": None, "batch_size": 128})
    accuracy = cross_val_score(
        LogisticRegression(max_iter=1000),
        model.get_style_representation(),
        adata.obs["condition"],
        cv=5,
        scoring="balanced_accuracy",
    ).mean()
    return adjusted_rand_index(adata.obs["class"], model.predict()), accuracy, model


@pytest.mark.slow
def test_learned_style_prior_separates_conditions():
    ari, accuracy, model = condition_from_style("learned")
    assert ari == 1
    assert accuracy > 0.95
    assert max(model.style_use_) > 0.01


@pytest.mark.slow
def test_fixed_style_prior_does_not():
    ari, accuracy, _ = condition_from_style("standard")
    assert ari == 1
    assert accuracy < 0.65
