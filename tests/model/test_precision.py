"""Mixed precision, as an option: the layers in bfloat16, everything that is inferred in full."""

import pytest
import scvi
import torch
from sklearn.metrics import adjusted_rand_score
from torch.nn.functional import cosine_similarity

from mixvi import datasets
from mixvi.model import CGMDVAE, RMVE

MIXED = {"precision": "bf16-mixed"}
MODELS = pytest.mark.parametrize("cls", [CGMDVAE, RMVE])


def made(cls, adata, **init):
    scvi.settings.seed = 0
    cls.setup_anndata(adata, batch_key="batch")
    return cls(adata, n_components=3, n_hidden=32, n_latent=5, **init)


@pytest.fixture(scope="module")
def adata():
    return datasets.simulate(600, 80, n_components=3, n_batches=2, separation=6, rng=0)


def objective(model, tensors, *, mixed):
    model.module.zero_grad()
    model.module.train()
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
        outputs, _, output = model.module(tensors, loss_kwargs={"n_obs": 600})
    output.loss.backward()
    gradient = [p.grad.flatten() for p in model.module.parameters() if p.grad is not None]
    return outputs, output.loss.detach(), torch.cat(gradient)


@pytest.mark.law
@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson"])
@MODELS
def test_objective_and_gradient_are_nearly_those_of_full_precision(cls, likelihood, adata):
    model = made(cls, adata, gene_likelihood=likelihood)
    model.module.pretraining = False
    tensors = next(iter(model._make_data_loader(adata, batch_size=200)))
    _, loss, gradient = objective(model, tensors, mixed=False)
    outputs, loss_mixed, gradient_mixed = objective(model, tensors, mixed=True)
    # what is inferred is in full precision, the rest rounds to 8 bits: a share of 2⁻⁹
    assert outputs["z"].dtype == outputs["qz"].scale.dtype == loss_mixed.dtype == torch.float32
    torch.testing.assert_close(loss_mixed, loss, rtol=2e-3, atol=0)
    assert 0.999 < cosine_similarity(gradient_mixed, gradient, dim=0) < 1


@MODELS
def test_clusters_are_as_good(cls, adata):
    found = {}
    for name, options in {"full": {}, "mixed": MIXED}.items():
        model = made(cls, adata)
        model.train(max_epochs=30, batch_size=64, enable_progress_bar=False, **options)
        assert {p.dtype for p in model.module.parameters()} == {torch.float32}
        truth = adata.obs["component"]
        found[name] = (float(model.get_elbo()), adjusted_rand_score(truth, model.predict()))
    assert found["mixed"][0] == pytest.approx(found["full"][0], rel=0.01)
    assert found["mixed"][1] > found["full"][1] - 0.02
    assert found["mixed"] != found["full"]
