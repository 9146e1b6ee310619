import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal, Normal
from torch.nn import functional

from mixvi.distributions import (
    Components,
    GaussianArrow,
    HiddenLayers,
    NegativeBinomialLikelihood,
    NetworkStyle,
    NormalLikelihood,
)
from mixvi.module import Covariates, MixtureVAE
from mixvi.priors import CollapsedDirichlet, DirichletMixture, GlobalDirichlet, UniformWeights

pytestmark = [
    pytest.mark.law,
    pytest.mark.filterwarnings("ignore:Sparse CS[RC] tensor support is in beta"),
]

N, G, H, D, K = 12, 15, 8, 3, 4


def counts_module(*, weights=None, n_labels=0, encode_covariates=False):
    torch.manual_seed(0)
    covariates = Covariates(2, 3)
    hidden = {"n_hidden": H, "norm": "layer", "dropout": 0.0}
    prior = DirichletMixture(
        Components(K, D, NetworkStyle(2, K, D)),
        weights or CollapsedDirichlet(K, 0.5),
        style_posterior=GaussianArrow(H, 2),
    )
    return MixtureVAE(
        HiddenLayers(G, len(covariates) * encode_covariates, **hidden),
        GaussianArrow(H, D),
        HiddenLayers(D, len(covariates), **hidden),
        NegativeBinomialLikelihood(H, G),
        prior,
        covariates,
        gene_likelihood="nb",
        encode_covariates=encode_covariates,
        n_labels=n_labels,
        label_weight=2.0,
    )


@pytest.fixture
def tensors():
    torch.manual_seed(1)
    x = torch.poisson(torch.rand(N, G) * 3)
    x[:, 0] += 1
    return {
        "X": x,
        "batch": torch.arange(N)[:, None] % 2,
        "condition": torch.arange(N)[:, None] % 3,
        "labels": torch.arange(N)[:, None] % 3,
    }


def loss(module, tensors, **kwargs):
    torch.manual_seed(5)
    return module(tensors, loss_kwargs=kwargs)[2]


@pytest.mark.parametrize("compress", [torch.Tensor.to_sparse_csr, torch.Tensor.to_sparse_csc])
@pytest.mark.parametrize("encode_covariates", [False, True])
def test_compressed_equals_dense(tensors, encode_covariates, compress):
    module = counts_module(encode_covariates=encode_covariates)
    parameters = list(module.parameters())
    found = loss(module, tensors | {"X": compress(tensors["X"])})
    expected = loss(module, tensors)
    torch.testing.assert_close(found.loss, expected.loss)
    torch.testing.assert_close(found.reconstruction_loss, expected.reconstruction_loss)
    gradients = [
        torch.autograd.grad(one.loss, parameters, allow_unused=True) for one in (found, expected)
    ]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_every_parameter_gets_a_gradient(tensors):
    module = counts_module()
    with torch.no_grad():
        module.prior.components.style.network.last.weight.normal_(0, 64)
    loss(module, tensors).loss.backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("weights", [CollapsedDirichlet(K, 0.5), GlobalDirichlet(K, 0.5)])
@pytest.mark.parametrize("n_labels", [0, 2])
def test_loss_is_the_sum_of_its_terms(tensors, n_labels, weights):
    module = counts_module(weights=weights, n_labels=n_labels).eval()
    out = loss(module, tensors, kl_weight=0.3, n_obs=50)
    total = out.reconstruction_loss["reconstruction_loss"].mean()
    total = total + 0.3 * sum(term.mean() for term in out.kl_local.values())
    (kl_global,) = out.kl_global.values()
    total = total + kl_global / 50
    if n_labels:
        total = total + 2.0 * out.extra_metrics["classification"]
    torch.testing.assert_close(out.loss, total)
    assert {"kl_z", "kl_w", "kl_y"} <= set(out.kl_local)
    for name, term in out.kl_local.items():
        assert term.shape == (N,)
        torch.testing.assert_close(out.extra_metrics[name], term.mean())


def test_classification_counts_labeled_cells_alone(tensors):
    module = counts_module(n_labels=2)
    out = loss(module, tensors)
    torch.manual_seed(5)
    inference = module.inference(**module._get_inference_input(tensors))
    log_q = module.prior.assignment(inference["z"], inference["c"]).logits
    labels = tensors["labels"].flatten()
    known = labels < 2
    expected = -log_q[known, labels[known]].sum() / N
    torch.testing.assert_close(out.extra_metrics["classification"], expected)
    assert module.known_labels(tensors)[~known].eq(-1).all()


def test_pretraining_has_a_standard_prior(tensors):
    module = counts_module(n_labels=2)
    module.pretraining = True
    out = loss(module, tensors)
    torch.manual_seed(5)
    qz = module.inference(**module._get_inference_input(tensors))["qz"]
    standard = Normal(torch.zeros(D), torch.ones(D))
    expected = torch.distributions.kl_divergence(qz, standard).sum(-1)
    torch.testing.assert_close(out.kl_local["kl_z"], expected)
    assert "classification" not in (out.extra_metrics or {})


def test_stored_moments_give_the_same_posterior(tensors):
    module = counts_module().eval()
    regular = module.inference(**module._get_inference_input(tensors))
    qz = regular["qz"]
    module.minified_data_type = "latent_posterior_parameters"
    minified = tensors | {
        "X": torch.zeros(N, G),
        "latent_qzm": qz.loc.detach(),
        "latent_qzv": qz.variance.detach(),
        "observed_lib_size": tensors["X"].sum(-1, keepdim=True),
    }
    cached = module.inference(**module._get_inference_input(minified))
    torch.testing.assert_close(cached["qz"].loc, qz.loc)
    torch.testing.assert_close(cached["qz"].scale, qz.scale)
    torch.testing.assert_close(cached["library"], regular["library"])
    torch.testing.assert_close(cached["c"], regular["c"])
    stored = module.posterior(minified)
    assert torch.equal(stored["qz"].loc, cached["qz"].loc)
    assert torch.equal(stored["qz"].scale, cached["qz"].scale)


@pytest.mark.parametrize("encode_covariates", [False, True])
def test_posterior_is_that_of_inference(tensors, encode_covariates):
    module = counts_module(encode_covariates=encode_covariates).eval()
    inference = module.inference(**module._get_inference_input(tensors))
    posterior = module.posterior(tensors)
    for name in ("loc", "scale"):
        assert torch.equal(getattr(posterior["qz"], name), getattr(inference["qz"], name))
    for name in ("h", "c"):
        assert torch.equal(posterior[name], inference[name])


def test_transformed_batch_and_condition_are_those_of_other_codes(tensors):
    module = counts_module().eval()
    z, log_depth = torch.randn(N, D), torch.zeros(N, 1)
    c = module.covariates(tensors)
    moved = tensors | {"batch": torch.ones(N, 1).long(), "condition": torch.zeros(N, 1).long()}
    found = module.generative(z, log_depth, c, transform_batch=1, transform_condition=0)
    expected = module.generative(z, log_depth, module.covariates(moved))
    torch.testing.assert_close(found["px"].mu, expected["px"].mu)


def test_encoder_without_covariates_does_not_see_the_batch(tensors):
    moved = tensors | {"batch": 1 - tensors["batch"]}
    for encode_covariates in (False, True):
        module = counts_module(encode_covariates=encode_covariates)
        a, b = (module.inference(**module._get_inference_input(t)) for t in (tensors, moved))
        assert torch.allclose(a["qz"].loc, b["qz"].loc) != encode_covariates


class _Itself(HiddenLayers):
    """The identity in place of hidden layers: encoder and decoder become linear."""

    def __init__(self):
        torch.nn.Module.__init__(self)

    def forward(self, x, c=None):
        return x


def linear_module(shift=0.0):
    """Linear encoder and decoder, normal likelihood and a mixture of unequal weights."""
    torch.manual_seed(0)
    n_genes, d, k = 4, 2, 3
    weights = GlobalDirichlet(k, 0.5)
    weights.initialize_(torch.tensor([10.0, 20.0, 40.0]))
    prior = DirichletMixture(Components(k, d), weights.eval())
    module = MixtureVAE(
        _Itself(),
        GaussianArrow(n_genes, d),
        _Itself(),
        NormalLikelihood(d, n_genes),
        prior,
        Covariates(),
        gene_likelihood="normal",
    ).double()
    with torch.no_grad():
        prior.components.log_variance.uniform_(-1, 0.5)
        prior.components.loc.mul_(1.5).add_(shift)
        # a proposal near, and wider than, the posterior
        a, noise = module.likelihood.loc, functional.softplus(module.likelihood.raw_scale) + 0.01
        gain = a.weight.t() / noise.square()
        covariance = torch.linalg.inv(gain @ a.weight + 0.5 * torch.eye(d).double())
        module.z_posterior.loc.weight.copy_(covariance @ gain)
        module.z_posterior.loc.bias.copy_(-covariance @ gain @ a.bias)
        module.z_posterior.log_variance.weight.zero_()
        module.z_posterior.log_variance.bias.copy_((1.5 * covariance.diagonal()).log())
    return module.eval()


def exact_log_likelihood(module, x):
    a, components = module.likelihood.loc, module.prior.components
    noise = functional.softplus(module.likelihood.raw_scale) + 0.01
    covariance = torch.einsum(
        "gd,kd,hd->kgh", a.weight, components.log_variance.exp(), a.weight
    ) + torch.diag(noise.square())
    return MixtureSameFamily(
        Categorical(module.prior.weights()),
        MultivariateNormal(a(components.loc), covariance),
    ).log_prob(x)


@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_marginal_likelihood_of_a_linear_model_is_exact(shift):
    module = linear_module(shift)
    x = torch.randn(5, 4, dtype=torch.float64)
    expected = exact_log_likelihood(module, x).detach()
    torch.manual_seed(0)
    tensors = {"X": x, "batch": torch.zeros(5, 1)}
    found = module.marginal_ll(tensors, 60_000, n_mc_samples_per_pass=20_000)
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0)
    mean = module.marginal_ll(tensors, 2_000, return_mean=True, n_mc_samples_per_pass=999)
    assert mean == pytest.approx(expected.mean().item(), abs=0.2)


def test_marginal_likelihood_reacts_to_the_prior():
    x = torch.randn(5, 4, dtype=torch.float64)
    tensors = {"X": x, "batch": torch.zeros(5, 1)}
    results = []
    for shift in (0.0, 6.0):
        module = linear_module(shift)
        results.append(module.marginal_ll(tensors, 2_000, n_mc_samples_per_pass=1_000).mean())
    assert results[1] < results[0] - 1


def test_one_sample_bounds_from_below_in_expectation():
    # the importance-weighted bound with one sample is the ELBO: below, and log p(x) with many
    module = linear_module()
    x = torch.randn(5, 4, dtype=torch.float64)
    tensors = {"X": x, "batch": torch.zeros(5, 1)}
    torch.manual_seed(0)
    bounds = torch.stack([module.marginal_ll(tensors, 1) for _ in range(300)]).mean(0)
    assert (bounds < exact_log_likelihood(module, x) + 0.1).all()


def test_samples_have_scvi_shapes(tensors):
    module = counts_module(weights=UniformWeights(K)).eval()
    assert module.sample(tensors).shape == (N, G)
    assert module.sample(tensors, n_samples=3).shape == (N, G, 3)
