"""Dependence of z on the batch within components, against HSIC and by its mean."""

import pytest
import torch
from torch.nn import functional

from mixvi import datasets
from mixvi.model import CGMDVAE
from mixvi.module import Independence
from mixvi.priors.hsic import hsic

pytestmark = pytest.mark.law


def draw(n, shift=0.0, seed=0):
    """Two batches, the second of them moved along one of three axes."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(2, (n,), generator=generator)
    z = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    z[:, 0] += shift * codes
    return z, functional.one_hot(codes, 2).double()


def test_features_approximate_the_kernel():
    z, _ = draw(200)
    phi = Independence(3, n_features=40_000).double().features(z)
    bandwidth = 3 * z.var(0).mean()
    expected = (-torch.cdist(z, z).square() / (2 * bandwidth)).exp()
    torch.testing.assert_close(phi @ phi.t(), expected, atol=0.05, rtol=0)


def test_hsic_without_the_products_of_cells_with_themselves():
    z, batch = draw(300, shift=1.0)
    penalty = Independence(3).double()
    phi = penalty.features(z)
    one = torch.ones(len(z), 1, dtype=torch.float64)
    # the biased estimate is Σ_b π_b ‖μ_b − μ‖²; what each squared mean has too much is known
    sizes = batch.sum(0)
    biased = hsic(phi @ phi.t(), batch / sizes * len(z) @ batch.t())
    own = phi.square().sum(1)
    of_batch, of_all = (batch.t() @ phi).square().sum(1), phi.sum(0).square().sum()
    unbiased = (of_batch - batch.t() @ own) / (sizes * (sizes - 1))
    unbiased_of_all = (of_all - own.sum()) / (len(z) * (len(z) - 1))
    expected = (sizes / len(z)) @ (unbiased - unbiased_of_all)
    torch.testing.assert_close(penalty(z, one, batch), expected)
    torch.testing.assert_close(penalty(z, one, batch), biased, atol=0.01, rtol=0)


def test_zero_on_average_without_dependence_even_for_few_cells():
    penalty = Independence(3).double()
    values = []
    for seed in range(400):
        z, batch = draw(24, seed=seed)
        q = functional.one_hot(torch.arange(24) % 3, 3).double()
        values.append(penalty(z, q, batch))
    values = torch.stack(values)
    assert abs(values.mean()) < 4 * values.std() / len(values) ** 0.5


def test_shares_of_components_may_differ_between_batches():
    # the batch says which component, and within components nothing
    generator = torch.Generator().manual_seed(0)
    component = torch.randint(2, (4000,), generator=generator)
    flipped = torch.rand(4000, generator=generator) < 0.2
    batch = functional.one_hot(torch.where(flipped, 1 - component, component), 2).double()
    z = torch.randn(4000, 3, generator=generator, dtype=torch.float64)
    z[:, 0] += 4 * component
    q = functional.one_hot(component, 2).double()
    penalty = Independence(3).double()
    assert penalty(z, q, batch).abs() < 1e-3
    assert penalty(z, torch.ones(4000, 1).double(), batch) > 0.05


def test_its_gradient_brings_batches_together():
    z, batch = draw(500, shift=2.0)
    z.requires_grad_()
    penalty, one = Independence(3).double(), torch.ones(500, 1).double()
    (gradient,) = torch.autograd.grad(penalty(z, one, batch), z)
    step = -gradient[:, 0]
    assert step[batch[:, 1] == 1].mean() < 0 < step[batch[:, 0] == 1].mean()


def test_cells_without_a_pair_say_nothing():
    z, batch = draw(4)
    q = functional.one_hot(torch.arange(4), 4).double()
    z.requires_grad_()
    value = Independence(3).double()(z, q, batch)
    assert value == 0
    (gradient,) = torch.autograd.grad(value, z, allow_unused=True)
    assert gradient is None or not gradient.any()
    assert Independence(3).double()(z[:1], q[:1], batch[:1]) == 0


def test_training_follows_it_where_there_are_batches():
    adata = datasets.simulate(300, 40, n_components=2, n_batches=2, rng=0)
    CGMDVAE.setup_anndata(adata, batch_key="batch")
    model = CGMDVAE(adata, n_components=2, n_hidden=16, independence_weight=20)
    model.train(max_epochs=3, enable_progress_bar=False)
    assert model.history["independence_train"].notna().all().item()
    CGMDVAE.setup_anndata(adata)
    assert CGMDVAE(adata, n_components=2, independence_weight=20).module.independence is None
    with pytest.raises(ValueError, match="independence_weight"):
        CGMDVAE(adata, n_components=2, independence_weight=-1)
