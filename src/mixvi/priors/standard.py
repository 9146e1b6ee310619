"""The standard normal prior: an ordinary (conditional) VAE."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Categorical, Normal, kl_divergence

from .base import LatentPrior

__all__ = ["StandardPrior"]


class StandardPrior(LatentPrior):
    """p(z) = N(0, I) :cite:p:`kingma2014autoencoding`: one component, nothing to learn.

    The latent space of scVI, and the prior under which the components are pre-trained.

    Parameters
    ----------
    n_latent
        D.
    """

    def __init__(self, n_latent: int):
        super().__init__()
        self.n_components, self.n_latent = 1, n_latent

    def divergence(
        self,
        qz: Normal,
        z: Float[Tensor, "cells D"],
        h: Float[Tensor, "cells H"],
        c: Float[Tensor, "cells C"],
        labels: Int[Tensor, " cells"] | None = None,
    ) -> dict[str, Tensor]:
        """KL(q(z | x) ‖ N(0, I))."""
        standard = Normal(torch.zeros_like(qz.loc), torch.ones_like(qz.scale), validate_args=False)
        return {"kl_z": kl_divergence(qz, standard).sum(-1)}

    def assignment(self, z: Float[Tensor, "*cells D"], c: Float[Tensor, "cells C"]) -> Categorical:
        """The one component there is."""
        return Categorical(logits=z.new_zeros(*z.shape[:-1], 1), validate_args=False)

    def log_prob(
        self, z: Float[Tensor, "*cells D"], c: Float[Tensor, "cells C"]
    ) -> Float[Tensor, "*cells"]:
        """Log N(z | 0, I)."""
        return Normal(0.0, 1.0).log_prob(z).sum(-1)

    def log_density(self) -> Float[Tensor, ""]:
        """0: no parameters."""
        return torch.zeros(())

    def sample(
        self, c: Float[Tensor, "cells C"], components: Int[Tensor, " cells"] | None = None
    ) -> Float[Tensor, "cells D"]:
        """Draw z ~ N(0, I)."""
        return torch.randn(c.shape[0], self.n_latent, device=c.device)

    def centers(self, c: Float[Tensor, "cells C"]) -> Normal:
        """N(0, I)."""
        zeros = c.new_zeros(c.shape[0], 1, self.n_latent)
        return Normal(zeros, torch.ones_like(zeros))

    def weights(self) -> Float[Tensor, " K"]:
        """1."""
        return torch.ones(1)

    def initialize_(
        self,
        z: Float[Tensor, "cells D"],
        weights: Float[Tensor, "cells K"],
        c: Float[Tensor, "cells C"],
    ) -> None:
        """Nothing to start."""
