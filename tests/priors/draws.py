"""Random cells, responsibilities and mixtures in double precision."""

import torch
from hypothesis import strategies as st

from mixvi.distributions import Components

SEEDS = st.integers(0, 2**32 - 1)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def cells(seed, n=12, d=3):
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def responsibilities(seed, n=12, k=4):
    logits = torch.randn(n, k, generator=generator(seed + 1), dtype=torch.float64)
    return (2 * logits).softmax(-1)


def shares(seed, k=4):
    weights = 0.1 + torch.rand(k, generator=generator(seed + 2), dtype=torch.float64)
    return weights / weights.sum()


def unit_components(loc):
    """The draft's components, Σ = I."""
    components = Components(*loc.shape).double()
    with torch.no_grad():
        components.loc.copy_(loc)
    return components
