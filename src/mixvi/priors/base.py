"""The latent prior: everything above z."""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Categorical, Normal

from .points import N_POINTS, normal_points

__all__ = ["LatentPrior"]


class LatentPrior(nn.Module):
    """The model of the latent space, with the recognition factors that only it needs.

    The module below (encoder, decoder, likelihood) is the same for the whole family; a model is
    chosen by its prior. Shapes: cells B, dim z D, dim w W, components K, covariates C, width of
    the encoder's hidden layer H.

    Attributes
    ----------
    n_components, n_latent, n_style
        K, D and W (0 where there is no style).
    components_per_label
        The first components are tied to labels, as many to each.
    """

    n_components: int
    n_latent: int
    n_style: int = 0
    components_per_label: int = 1

    @abstractmethod
    def divergence(
        self,
        qz: Normal,
        z: Float[Tensor, "cells D"],
        h: Float[Tensor, "cells H"],
        c: Float[Tensor, "cells C"],
        labels: Int[Tensor, " cells"] | None = None,
    ) -> dict[str, Tensor]:
        """Every divergence of the negative ELBO by name, one number per cell, in nats.

        Parameters
        ----------
        qz
            q(z | x).
        z
            One sample of it.
        h
            The encoder's last hidden layer.
        c
            Covariates.
        labels
            Label of every cell, which ties it to the label's components, −1 where it is not
            known.
        """

    def style_divergence(
        self, h: Float[Tensor, "cells H"], c: Float[Tensor, "cells C"]
    ) -> dict[str, Tensor]:
        """The terms that do not ask for the components; trained before these are started, too."""
        return {}

    @abstractmethod
    def assignment(self, z: Float[Tensor, "*cells D"], c: Float[Tensor, "cells C"]) -> Categorical:
        """q(y | z): the components' responsibilities, a function of z (and c) alone."""

    def recognition(
        self, qz: Normal, z: Float[Tensor, "cells D"], c: Float[Tensor, "cells C"]
    ) -> Categorical:
        """The recognition of y that the bound reads and labels teach: q(y | z) at the sampled z."""
        return self.assignment(z, c)

    def responsibilities(
        self, qz: Normal, c: Float[Tensor, "cells C"], n_points: int = N_POINTS
    ) -> Float[Tensor, "cells K"]:
        r"""q(y | x) = E_{q(z|x)} q(y | z): what is not known about z makes y less sure, too.

        The mean over the points of :func:`~mixvi.priors.points.normal_points` brought to q(z | x),
        at least ``n_points``; the same in every call, so that nothing jitters.
        """
        points = normal_points(qz.loc.shape[-1], n_points).to(qz.loc)[:, None]
        return self.assignment(qz.loc + qz.scale * points, c).probs.mean(0)

    @abstractmethod
    def log_prob(
        self, z: Float[Tensor, "*cells D"], c: Float[Tensor, "cells C"]
    ) -> Float[Tensor, "*cells"]:
        """Log p(z | c), y summed out, a style at the mean of its prior."""

    def log_occupancy(
        self, z: Float[Tensor, "*cells D"], c: Float[Tensor, "cells C"]
    ) -> Float[Tensor, "*cells"]:
        """Log density of the cells that were trained on: the sum of :meth:`log_occupancies`."""
        return self.log_occupancies(z, c).logsumexp(-1)

    def log_occupancies(
        self, z: Float[Tensor, "*cells D"], c: Float[Tensor, "cells C"]
    ) -> Float[Tensor, "*cells K"]:
        """Every component's part in it; :meth:`log_prob` without a mixture."""
        return self.log_prob(z, c).unsqueeze(-1)

    def log_weight(
        self,
        z: Float[Tensor, "*cells D"],
        h: Float[Tensor, "cells H"],
        c: Float[Tensor, "cells C"],
    ) -> Float[Tensor, "*cells"]:
        """Log of an unbiased one-sample estimate of p(z | c), with q(w | x) as proposal.

        Exact, and equal to :meth:`log_prob`, where there is no style.
        """
        return self.log_prob(z, c)

    def log_density(self) -> Float[Tensor, ""]:
        """Log p of the prior's own parameters, counted once per data set, in nats."""
        return torch.zeros((), device=next(self.parameters()).device)

    @abstractmethod
    def sample(
        self, c: Float[Tensor, "cells C"], components: Int[Tensor, " cells"] | None = None
    ) -> Float[Tensor, "cells D"]:
        """Draw z ~ p(z | c), or p(z | y, c) for given components."""

    @abstractmethod
    def centers(self, c: Float[Tensor, "cells C"]) -> Normal:
        """p(z | y = k) of every component at the mean of the style's prior: (cells, K, D)."""

    @abstractmethod
    def weights(self) -> Float[Tensor, " K"]:
        """p(y = k): expected share of every component."""

    def style(self, h: Float[Tensor, "cells H"]) -> Normal:
        """q(w | x).

        Raises
        ------
        ValueError
            If the prior has no style.
        """
        raise ValueError("expected a model with a style, found n_style=0; train with n_style > 0")

    @abstractmethod
    def initialize_(
        self,
        z: Float[Tensor, "cells D"],
        weights: Float[Tensor, "cells K"],
        c: Float[Tensor, "cells C"],
    ) -> None:
        """Start the components from latent means and their soft or hard assignments, in place."""
