"""With one standard normal component, no style and no Dirichlet the model is scVI."""

import warnings

import pytest
import scvi
import torch

from mixvi.datasets import simulate
from mixvi.model import CGMDVAE

pytestmark = pytest.mark.law


@torch.no_grad()
def copy_hidden(ours, theirs):
    linear, norm = theirs[0], theirs[1]
    n_in = ours.weight.shape[1]
    ours.weight.copy_(linear.weight[:, :n_in])
    ours.bias.copy_(linear.bias)
    if ours.covariate_weight is not None:
        ours.covariate_weight.copy_(linear.weight[:, n_in:])
    ours.norm.load_state_dict(norm.state_dict())


@torch.no_grad()
def copy_scvi(ours, theirs):
    """Every weight of an scVI module."""
    encoder, decoder = theirs.z_encoder, theirs.decoder
    copy_hidden(ours.encoder.layers[0], encoder.encoder.fc_layers[0])
    copy_hidden(ours.decoder.layers[0], decoder.px_decoder.fc_layers[0])
    ours.z_posterior.loc.load_state_dict(encoder.mean_encoder.state_dict())
    ours.z_posterior.log_variance.load_state_dict(encoder.var_encoder.state_dict())
    theirs_head, head = decoder.px_scale_decoder[0], ours.likelihood.head
    n_in = theirs_head.weight.shape[1]
    head.bias.copy_(theirs_head.bias)
    head.weight[:, :n_in].copy_(theirs_head.weight)
    head.weight[:, n_in:].zero_()  # the covariates, which its genes do not see directly
    ours.likelihood.log_theta.copy_(theirs.px_r)
    ours.prior.components.loc.zero_()
    ours.prior.components.log_variance.zero_()


@pytest.fixture(scope="module")
def twins():
    adata = simulate(200, 60, n_components=3, n_batches=2, rng=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the reference's training
        torch.manual_seed(0)
        scvi.model.SCVI.setup_anndata(adata, batch_key="batch")
        theirs = scvi.model.SCVI(adata, gene_likelihood="nb", n_latent=10)
        theirs.train(
            2, accelerator="cpu", enable_progress_bar=False, logger=False, plan_kwargs={"lr": 1e-2}
        )
    CGMDVAE.setup_anndata(adata, batch_key="batch")
    ours = CGMDVAE(
        adata,
        n_components=1,
        n_style=0,
        dirichlet=None,
        norm="batch",
        dropout_rate=0.0,
        input_dropout=0.0,
    )
    copy_scvi(ours.module, theirs.module)
    ours.is_trained_ = True  # by way of the copy
    for model in (ours, theirs):
        model.module.eval()
    return ours, theirs


def outputs(model):
    (tensors,) = model._make_data_loader(model.adata, batch_size=model.adata.n_obs)
    torch.manual_seed(1)
    with torch.no_grad():
        return model.module(tensors)


def test_terms_of_the_objective(twins):
    (our_z, our_x, ours), (their_z, their_x, theirs) = (outputs(model) for model in twins)
    close = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(our_z["qz"].loc, their_z["qz"].loc, **close)
    torch.testing.assert_close(our_z["qz"].scale, their_z["qz"].scale, **close)
    torch.testing.assert_close(our_z["z"], their_z["z"], **close)
    torch.testing.assert_close(our_x["px"].mu, their_x["px"].mu, **close)
    (reconstruction,), (expected,) = (
        tuple(one.reconstruction_loss.values()) for one in (ours, theirs)
    )
    torch.testing.assert_close(reconstruction, expected, rtol=1e-4, atol=0)
    kl = theirs.kl_local["kl_divergence_z"]
    assert kl.std() > 0.01  # not a trivial posterior
    torch.testing.assert_close(ours.kl_local["kl_z"], kl, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.kl_local["kl_y"], torch.zeros_like(kl))
    torch.testing.assert_close(ours.loss, theirs.loss, rtol=1e-4, atol=0)


def test_gradients(twins):
    ours, theirs = twins
    for model in twins:
        (tensors,) = model._make_data_loader(model.adata, batch_size=model.adata.n_obs)
        torch.manual_seed(1)
        module = model.module
        module.zero_grad()
        module(tensors)[2].loss.backward()
    pairs = [
        (ours.module.likelihood.log_theta, theirs.module.px_r),
        (ours.module.z_posterior.loc.weight, theirs.module.z_encoder.mean_encoder.weight),
        (ours.module.z_posterior.log_variance.bias, theirs.module.z_encoder.var_encoder.bias),
    ]
    for found, expected in pairs:
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-3, atol=1e-4)


def test_latent_means(twins):
    latent = [torch.as_tensor(model.get_latent_representation()) for model in twins]
    torch.testing.assert_close(*latent, rtol=1e-4, atol=1e-5)
