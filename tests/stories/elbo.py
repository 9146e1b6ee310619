"""The module's objective and Pyro's, both with the same frozen weights.

Both estimate the ELBO of four cells from the same seeds, so that most of the noise cancels in
their difference Δ, and Δ is judged by its standard error over chunks of draws.
"""

from __future__ import annotations

import math

import torch
from pyro.infer import TraceEnum_ELBO
from scvi import REGISTRY_KEYS
from torch import Tensor

from mixvi.module import MixtureVAE
from mixvi.stories import Story

N_CELLS, N_DRAWS, N_CHUNKS = 4, 1000, 40
MAX_SE = 0.05  # nats

X = torch.tensor(
    [[0, 3, 1, 0, 7, 2], [4, 0, 0, 1, 2, 2], [1, 1, 0, 0, 3, 9], [0, 0, 5, 6, 1, 0]]
).double()
BATCH = torch.tensor([[0.0], [1.0], [0.0], [1.0]], dtype=torch.float64)


def story_inputs(module: MixtureVAE, x: Tensor = X) -> tuple[Tensor, ...]:
    c = module.covariates({REGISTRY_KEYS.BATCH_KEY: BATCH})
    depth = X.sum(1, keepdim=True) if module.likelihood.is_count else torch.ones(N_CELLS, 1)
    return x, c, depth.double().log()


def module_elbo(
    module: MixtureVAE,
    seed: int,
    x: Tensor = X,
    labels: Tensor | None = None,
    *,
    without: str | None = None,
    n_draws: int = N_DRAWS,
) -> float:
    """Minus the loss summed over cells; a mean over repeated cells. A term can be left out."""
    torch.manual_seed(seed)
    labels = torch.zeros(N_CELLS, dtype=torch.long) if labels is None else labels
    tensors = {
        REGISTRY_KEYS.X_KEY: x.repeat(n_draws, 1),
        REGISTRY_KEYS.BATCH_KEY: BATCH.repeat(n_draws, 1),
        REGISTRY_KEYS.LABELS_KEY: labels[:, None].repeat(n_draws, 1),
    }
    *_, out = module(tensors, loss_kwargs={"n_obs": N_CELLS})
    left_out = 0.0 if without is None else out.kl_local[without].mean()
    return -N_CELLS * float(out.loss - left_out)


def pyro_elbo(
    story: Story,
    seed: int,
    x: Tensor = X,
    labels: Tensor | None = None,
    *,
    n_draws: int = N_DRAWS,
) -> float:
    torch.manual_seed(seed)
    elbo = TraceEnum_ELBO(
        num_particles=n_draws,
        vectorize_particles=True,
        max_plate_nesting=1,
        strict_enumeration_warning=False,  # nothing to enumerate where y is observed
    )
    observed = () if labels is None else (labels,)
    return -elbo.loss(story.model, story.guide, *story_inputs(story.module, x), *observed)


def difference(
    story: Story,
    module: MixtureVAE | None = None,
    x: Tensor = X,
    labels: Tensor | None = None,
    *,
    without: str | None = None,
    n_chunks: int = N_CHUNKS,
) -> tuple[float, float]:
    """Mean over chunks of Pyro's ELBO minus the module's, and its standard error."""
    module = story.module if module is None else module
    chunks = [
        pyro_elbo(story, seed, x, labels) - module_elbo(module, seed, x, labels, without=without)
        for seed in range(n_chunks)
    ]
    deltas = torch.tensor(chunks, dtype=torch.float64)
    return deltas.mean().item(), deltas.std().item() / math.sqrt(n_chunks)
