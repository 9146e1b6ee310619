"""Cells of all batches alike: how far z depends on the batch, within components."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mixvi.distributions.ranks import mean_over_ranks, n_ranks, sum_over_ranks

__all__ = ["Independence"]


class Independence(nn.Module):
    r"""HSIC of z and the batch within every component, from the means of a mini-batch.

    .. math:: \sum_k \sum_b \frac{n_{kb}}{n} \lVert \mu_{kb} - \mu_k \rVert^2,
              \qquad \mu_{kb} = E[\varphi(z) \mid y = k, \mathrm{batch} = b]

    φ are random Fourier features :cite:p:`rahimi2007` of a Gaussian kernel with s² = D · mean
    variance of z, so that it is Σ_k π_k Σ_b π_{b|k} MMD²(batch b, all) within component k, the T =
    W + B of Lemma 3 with batches in the place of components. Within components: batches may
    have other shares of the cell types, and must not be made alike in that. Of a squared mean the
    products of cells with themselves are left out, which makes its estimate unbiased: the mean of
    two cells varies although their batches do not. Where several processes train together all means
    are those of all their cells.

    Parameters
    ----------
    n_latent
        D.
    n_features
        Number of features; more make the kernel more precise.
    """

    frequencies: Tensor
    phases: Tensor

    def __init__(self, n_latent: int, n_features: int = 128):
        super().__init__()
        # always the same: not a draw of the user's generator, not worth a place in saved models
        generator = torch.Generator().manual_seed(0)
        frequencies = torch.randn(n_latent, n_features, generator=generator)
        phases = 2 * math.pi * torch.rand(n_features, generator=generator)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.register_buffer("phases", phases, persistent=False)

    def features(self, z: Float[Tensor, "cells D"]) -> Float[Tensor, "cells F"]:
        """φ(z), whose products approximate the kernel."""
        bandwidth = (_variance(z.detach()).mean() * z.shape[1]).sqrt()
        angles = z / bandwidth.clamp(min=1e-6) @ self.frequencies + self.phases
        return math.sqrt(2 / len(self.phases)) * angles.cos()

    def forward(
        self,
        z: Float[Tensor, "cells D"],
        q: Float[Tensor, "cells K"],
        batch: Float[Tensor, "cells B"],
    ) -> Float[Tensor, ""]:
        """Return the estimate, about 0 where nothing depends on the batch.

        Parameters
        ----------
        z
            Samples of q(z | x).
        q
            Responsibilities; no gradient should come from here.
        batch
            One-hot.
        """
        if len(z) * n_ranks() < 2:
            return z.new_zeros(())
        phi = self.features(z)
        weights = torch.einsum("nk,nb->nkb", q, batch)
        of_all, mass = _squared_means(q, phi)
        of_batch, mass_of_batch = _squared_means(weights.flatten(1), phi)
        excess = of_batch.view_as(weights[0]) - of_all[:, None]
        # of fewer than two cells there is no estimate
        known = (mass_of_batch.view_as(excess) > 0) & (mass > 0)[:, None]
        share = mean_over_ranks(weights.mean(0))
        return (share * torch.where(known, excess, 0.0)).sum()


def _variance(z: Float[Tensor, "cells D"]) -> Float[Tensor, " D"]:
    """Variance of every dimension, over the cells of all processes."""
    if n_ranks() == 1:
        return z.var(0)
    n = len(z) * n_ranks()
    return sum_over_ranks((z - mean_over_ranks(z.mean(0))).square().sum(0)) / (n - 1)


def _squared_means(
    weights: Float[Tensor, "cells M"], phi: Float[Tensor, "cells F"]
) -> tuple[Float[Tensor, " M"], Float[Tensor, " M"]]:
    """Unbiased ‖E φ‖² under every column of weights, and the mass of pairs it is made from."""
    squares = weights.square()
    mass, mass_of_squares = sum_over_ranks(torch.stack([weights.sum(0), squares.sum(0)]))
    pairs = mass.square() - mass_of_squares
    pairs = torch.where(pairs > 0.5, pairs, 0.0)  # less than a pair of cells
    own = sum_over_ranks(squares.t() @ phi.square().sum(-1))
    total = sum_over_ranks(weights.t() @ phi).square().sum(-1) - own
    return torch.where(pairs > 0, total / pairs.clamp(min=0.5), 0.0), pairs
