"""Laws of predictions and of the loss, on data that nobody would choose."""

import warnings
from copy import deepcopy
from inspect import signature
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import scvi
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from scvi import REGISTRY_KEYS
from tests.trust.cells import N_CELLS, N_GENES, SMALL, cells

from mixvi.model import CGMDVAE, RMVE

pytestmark = [
    pytest.mark.law,
    pytest.mark.filterwarnings("ignore:.*fewer than 3 cells"),  # scvi-tools'
]

few = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
permutations = st.integers(0, 2**32 - 1).map(np.random.default_rng)
K = 5


def everything(model, adata):
    """What the model says about cells, side by side."""
    return np.hstack(
        [
            model.get_latent_representation(adata),
            model.predict_proba(adata),
            model.get_novelty(adata)[:, None],
        ]
    )


@few
@given(rng=permutations)
def test_order_of_cells(model, rng):
    order = rng.permutation(N_CELLS)
    shuffled = everything(model, cells()[order].copy())
    np.testing.assert_allclose(shuffled, everything(model, cells())[order], rtol=1e-4, atol=1e-5)


@few
@given(rng=permutations)
def test_order_of_genes(model, rng):
    shuffled = cells()[:, rng.permutation(N_GENES)].copy()
    expected = everything(model, cells())
    np.testing.assert_allclose(everything(model, shuffled), expected, rtol=1e-4, atol=1e-5)


@few
@given(rng=permutations, n=st.integers(1, N_CELLS))
def test_company_of_cells(model, rng, n):
    """A cell is what it is, whichever cells come with it."""
    some = rng.choice(N_CELLS, n, replace=False)
    part = everything(model, cells()[some].copy())
    np.testing.assert_allclose(part, everything(model, cells())[some], rtol=1e-4, atol=1e-5)


@few
@given(batch_size=st.integers(1, N_CELLS + 5), compressed=st.booleans())
def test_batch_size_and_layout(model, batch_size, compressed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about CSR tensors
        loader = model._make_data_loader(
            model.adata, batch_size=batch_size, load_sparse_tensor=compressed
        )
        z = model.get_latent_representation(dataloader=loader)
    np.testing.assert_allclose(z, model.get_latent_representation(), atol=1e-4)


def permuted(prior, order):
    """A prior whose components are in another order."""
    prior = deepcopy(prior)
    state = prior.state_dict()
    for name, value in state.items():
        for axis, size in enumerate(value.shape):
            if size == K:
                state[name] = state[name].index_select(axis, torch.as_tensor(order))
    prior.load_state_dict(state)
    return prior


PRIORS = {
    "mixture": (RMVE, {}),
    "own variances": (RMVE, {"covariance": "diag"}),
    "repulsion": (RMVE, {"repulsion": "mmd"}),
    "Dirichlet": (CGMDVAE, {"n_style": 0}),
    "global Dirichlet": (CGMDVAE, {"n_style": 0, "dirichlet": "global", "covariance": "diag"}),
    "no Dirichlet": (CGMDVAE, {"n_style": 0, "dirichlet": None}),
}


@pytest.mark.parametrize("name", PRIORS)
@few
@given(rng=permutations)
def test_order_of_components(name, rng):
    """Nothing in the objective knows which component is the first."""
    cls, options = PRIORS[name]
    scvi.settings.seed = 0
    prior = make(cls, n_components=K, **options).module.prior.eval()
    with torch.no_grad():
        for value in (*prior.parameters(), *prior.buffers()):
            if value.is_floating_point():
                value.copy_(value.abs() + torch.rand_like(value))  # no two alike
    order = rng.permutation(K)
    other = permuted(prior, order)
    z, c = torch.randn(7, 3), torch.zeros(7, 0)
    torch.testing.assert_close(other.assignment(z, c).probs, prior.assignment(z, c).probs[:, order])
    torch.testing.assert_close(other.log_occupancy(z, c), prior.log_occupancy(z, c))
    torch.testing.assert_close(other.log_density(), prior.log_density())


def make(cls, adata=None, **options):
    adata = cells() if adata is None else adata
    labels = {"labels_key": "component"} if "class_weights" in options else {}
    cls.setup_anndata(adata, batch_key="batch", condition_key="condition", **labels)
    return cls(adata, **{**SMALL, "n_components": 4, **options})


@few
@given(log_scale=st.floats(-5, 5))
@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson"])
def test_library_size(likelihood, log_scale):
    """Expected counts are proportional to the depth; shares do not know it."""
    scvi.settings.seed = 0
    module = make(RMVE, gene_likelihood=likelihood).module.eval()
    z, depth, c = torch.randn(6, 3), torch.rand(6, 1) + 4, torch.eye(6, len(module.covariates))
    with torch.no_grad():
        base, deeper = (module.generative(z, depth + d, c)["px"] for d in (0.0, log_scale))
    torch.testing.assert_close(deeper.mean, base.mean * np.exp(log_scale), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(
        deeper.get_normalized("scale"), base.get_normalized("scale"), rtol=1e-4, atol=1e-6
    )


def loss_and_gradients(model, X, pretraining=False):
    """Of one step on a matrix, whatever the cells that the model was made with."""
    module = model.module.train()
    module.pretraining = pretraining
    tensors = next(iter(model._make_data_loader(model.adata, indices=range(len(X)))))
    tensors[REGISTRY_KEYS.X_KEY] = torch.as_tensor(X, dtype=torch.float32)
    module.zero_grad()
    loss = module(tensors, loss_kwargs={"n_obs": 100})[-1].loss
    loss.backward()
    return loss.detach(), {
        name: parameter.grad
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }


def assert_finite(loss, gradients):
    assert torch.isfinite(loss)
    assert gradients
    assert not [name for name, grad in gradients.items() if not torch.isfinite(grad).all()]


counts = hnp.arrays(
    np.int64,
    (8, N_GENES),
    elements=st.one_of(st.integers(0, 3), st.integers(0, 1_000_000)),
).map(lambda X: X + (X.sum(1, keepdims=True) == 0))


@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson"])
@pytest.mark.parametrize("cls", [RMVE, CGMDVAE])
@settings(parent=few, max_examples=25)
@given(X=counts)
def test_adversarial_counts(cls, likelihood, X):
    scvi.settings.seed = 0
    model = make(cls, gene_likelihood=likelihood)
    assert_finite(*loss_and_gradients(model, X))


HARD = np.zeros((8, N_GENES))
HARD[:, 0] = 1
HARD[1] = 1_000_000
HARD[2, 3] = 1_000_000
HARD[3] = np.arange(N_GENES) * 50_000

OPTIONS = [
    *(
        (RMVE, {"gene_likelihood": likelihood, "covariance": covariance, "encoder": encoder})
        for likelihood in ("nb", "zinb", "poisson", "normal", "bernoulli")
        for covariance in ("tied", "diag", "spherical", "unit")
        for encoder in ("shared", "y_conditional")
    ),
    *((RMVE, {"repulsion": name}) for name in ("mmd", "means", "hellinger", "dpp")),
    *((RMVE, {"norm": norm, "n_layers": n}) for norm in ("batch", "layer", "none") for n in (0, 2)),
    *(
        (CGMDVAE, {"dirichlet": form, "assignment": assignment, "conditioning": conditioning})
        for form in ("collapsed", "network", "global", None)
        for assignment in ("bayes", "network")
        for conditioning in ("decoder", "partial", "full")
    ),
    (CGMDVAE, {"style_prior": "learned"}),
    (CGMDVAE, {"n_style": 0}),
    (CGMDVAE, {"condition_effect": "latent"}),
    (CGMDVAE, {"n_components": 1}),
    (RMVE, {"n_components": 1}),
    (RMVE, {"n_components": 1, "covariance": "unit"}),
    *((cls, {"independence_weight": 50.0}) for cls in (RMVE, CGMDVAE)),
    *(
        (cls, {"class_weights": "balanced", "components_per_label": 2, "n_components": 8})
        for cls in (RMVE, CGMDVAE)
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        pytest.param(cls, options, id=f"{cls.__name__}-{'-'.join(map(str, options.values()))}")
        for cls, options in OPTIONS
    ],
)
def test_gradients_of_every_option(cls, options):
    scvi.settings.seed = 0
    real = options.get("gene_likelihood") in ("normal", "bernoulli")
    adata = cells()
    if real:
        adata.X = sparse.csr_matrix(adata.X / adata.X.max())
    model = make(cls, adata, **options)
    X = HARD / HARD.max() if real else HARD
    for pretraining in (False, True):
        assert_finite(*loss_and_gradients(model, X, pretraining))


def test_every_choice_is_among_the_options():
    """A choice that is added to a model is one whose gradients are looked at."""
    for cls in (CGMDVAE, RMVE):
        hints = get_type_hints(cls.__init__)
        for name, hint in hints.items():
            named = [value for value in choices(hint) if isinstance(value, str) and value != "auto"]
            tried = {options.get(name) for _, options in OPTIONS}  # both models share most
            tried.add(signature(cls).parameters[name].default)
            assert set(named) <= tried, (cls, name)


def choices(hint):
    """All values of the literals in a type."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return [value for part in get_args(hint) for value in choices(part)]
