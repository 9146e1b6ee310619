import pytest
import torch
from torch import nn

from mixvi.distributions import HiddenLayer, HiddenLayers

pytestmark = [
    pytest.mark.law,
    pytest.mark.filterwarnings("ignore:Sparse CS[RC] tensor support is in beta"),
]

N_IN, N_COVARIATES, N_OUT = 6, 3, 5


def layer(norm="none", n_covariates=N_COVARIATES):
    torch.manual_seed(0)
    return HiddenLayer(N_IN, n_covariates, N_OUT, norm=norm, dropout=0.0)


@pytest.fixture
def inputs():
    torch.manual_seed(1)
    return torch.randn(8, N_IN), torch.randn(8, N_COVARIATES)


def test_is_a_linear_layer_on_x_and_c(inputs):
    x, c = inputs
    hidden = layer()
    whole = nn.Linear(N_IN + N_COVARIATES, N_OUT)
    with torch.no_grad():
        whole.weight.copy_(torch.cat([hidden.weight, hidden.covariate_weight], 1))
        whole.bias.copy_(hidden.bias)
    torch.testing.assert_close(hidden(x, c), torch.relu(whole(torch.cat([x, c], 1))))


def test_starts_as_a_linear_layer_does():
    torch.manual_seed(0)
    whole = nn.Linear(N_IN + N_COVARIATES, N_OUT)
    hidden = layer()
    torch.testing.assert_close(hidden.weight, whole.weight[:, :N_IN])
    torch.testing.assert_close(hidden.covariate_weight, whole.weight[:, N_IN:])
    torch.testing.assert_close(hidden.bias, whole.bias)


@pytest.mark.parametrize("compress", [torch.Tensor.to_sparse_csr, torch.Tensor.to_sparse_csc])
@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_compressed_equals_dense(inputs, norm, compress):
    x, c = inputs
    x = x.relu()
    hidden = layer(norm)
    parameters = list(hidden.parameters())
    results = [hidden(x, c), hidden(compress(x), c)]
    torch.testing.assert_close(results[1], results[0])
    expected, found = (torch.autograd.grad(h.square().sum(), parameters) for h in results)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_samples_are_treated_one_by_one(norm):
    hidden = HiddenLayers(N_IN, N_COVARIATES, N_OUT, 2, norm=norm, dropout=0.1)
    for _ in range(20):
        hidden(torch.randn(32, N_IN) * 3 + 1, torch.randn(32, N_COVARIATES))
    hidden.eval()
    x, c = torch.randn(4, 8, N_IN), torch.randn(8, N_COVARIATES)
    together = hidden(x, c)
    assert together.shape == (4, 8, N_OUT)
    torch.testing.assert_close(together, torch.stack([hidden(sample, c) for sample in x]))
    one_by_one = torch.stack(
        [torch.cat([hidden(x[s, i : i + 1], c[i : i + 1]) for i in range(8)]) for s in range(4)]
    )
    torch.testing.assert_close(together, one_by_one)


def test_layer_norm_does_not_mix_cells(inputs):
    x, c = inputs
    hidden = layer("layer")
    torch.testing.assert_close(hidden(x, c)[:1], hidden(x[:1], c[:1]))


def test_covariates_enter_every_layer():
    hidden = HiddenLayers(N_IN, N_COVARIATES, N_OUT, 3, norm="none", dropout=0.0)
    hidden(torch.randn(8, N_IN), torch.randn(8, N_COVARIATES)).sum().backward()
    assert len(hidden.layers) == 3
    for part in hidden.layers:
        assert part.covariate_weight.grad.abs().sum() > 0


def test_without_covariates():
    hidden = layer(n_covariates=0)
    assert hidden.covariate_weight is None
    x = torch.randn(8, N_IN)
    expected = torch.relu(nn.functional.linear(x, hidden.weight, hidden.bias))
    torch.testing.assert_close(hidden(x), expected)


def test_dropout_only_in_training():
    hidden = HiddenLayer(N_IN, 0, 400, norm="none", dropout=0.5)
    with torch.no_grad():
        hidden.bias.fill_(100.0)  # no unit is cut off by the relu
    x = torch.randn(20, N_IN)
    dropped = (hidden(x) == 0).float().mean().item()
    assert dropped == pytest.approx(0.5, abs=0.05)
    hidden.eval()
    assert (hidden(x) > 0).all()


def test_unknown_norm():
    # without the run-time type check, which would refuse it first
    with pytest.raises(ValueError, match="expected norm 'batch', 'layer' or 'none', found 'group'"):
        HiddenLayer.__init__.__wrapped__(
            HiddenLayer.__new__(HiddenLayer), 2, 0, 2, norm="group", dropout=0.0
        )


@pytest.mark.parametrize("n_layers", [0, 1, 2])
def test_covariates_are_passed_on(inputs, n_layers):
    x, c = inputs
    torch.manual_seed(0)
    layers = HiddenLayers(
        N_IN, N_COVARIATES, N_OUT, n_layers, norm="none", dropout=0.0, pass_covariates=True
    )
    x = x.expand(2, *x.shape)
    h = layers(x, c)
    assert h.shape == (2, len(c), layers.n_out)
    torch.testing.assert_close(h[..., -N_COVARIATES:], c.expand(2, -1, -1))
    layers.pass_covariates = False
    torch.testing.assert_close(h[..., :-N_COVARIATES], layers(x, c))


@pytest.mark.parametrize("shape", [(8,), (3, 8)])
def test_trained_normalization_is_folded(shape):
    hidden = layer("batch")
    torch.manual_seed(2)
    for _ in range(3):
        hidden(3 * torch.randn(50, N_IN) + 1, torch.randn(50, N_COVARIATES))
    with torch.no_grad():
        hidden.norm.weight.uniform_(0.5, 2)
        hidden.norm.bias.normal_()
        hidden.bias.normal_()
    hidden.eval()
    x, c = torch.randn(*shape, N_IN), torch.randn(8, N_COVARIATES)
    before = x @ hidden.weight.t() + c @ hidden.covariate_weight.t() + hidden.bias
    expected = torch.relu(hidden.norm(before.flatten(0, -2))).view(*shape, N_OUT)
    torch.testing.assert_close(hidden(x, c), expected, rtol=1e-5, atol=1e-5)
    parameters = list(hidden.parameters())
    found, slow = (
        torch.autograd.grad(h.square().sum(), parameters) for h in (hidden(x, c), expected)
    )
    for a, b in zip(found, slow, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(hidden(x, c).float(), expected, rtol=0.05, atol=0.05)
