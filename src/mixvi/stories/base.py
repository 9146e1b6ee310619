"""What every story has: encoder and decoder, below a prior of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import pyro
import torch
from jaxtyping import Float
from pyro import distributions as dist
from pyro.distributions.torch_distribution import TorchDistribution
from pyro.ops.indexing import Vindex
from torch import Tensor
from torch.distributions import Normal, constraints

from mixvi.distributions import CellDistribution
from mixvi.module import MixtureVAE
from mixvi.priors import LatentPrior

__all__ = ["CellExpression", "Story", "member", "vector"]


class CellExpression(TorchDistribution):
    r"""A cell's expression as one event, so that Pyro scores a cell and not its genes.

    Parameters
    ----------
    genes
        Independent distributions of the genes, (\*samples, cells, genes).
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.independent(constraints.real, 1)

    def __init__(self, genes: CellDistribution):
        self.genes = genes
        super().__init__(genes.batch_shape[:-1], genes.batch_shape[-1:], validate_args=False)

    def log_prob(self, value: Float[Tensor, "*cells genes"]) -> Float[Tensor, "*cells"]:
        """Σ_g log p(x_g), by the plain sum: not the shortcut for sparse counts of the module."""
        return self.genes.log_prob(value).sum(-1)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        r"""Draw expression, (\*sample_shape, \\*samples, cells, genes)."""
        return self.genes.sample(torch.Size(sample_shape))


def vector(p: Normal) -> TorchDistribution:
    """Independent normal numbers as one vector per cell."""
    return dist.Normal(p.loc, p.scale).to_event(1)


def member(p: Normal, y: Tensor) -> TorchDistribution:
    r"""Return the vector's distribution in component y, of distributions (\*cells, K, D)."""
    return vector(Normal(Vindex(p.loc)[..., y, :], Vindex(p.scale)[..., y, :]))


class Story(ABC):
    """A generative story and its guide; every arrow is a network of a module.

    A story has no parameters of its own.

    Parameters
    ----------
    module
        A module in evaluation mode: dropout and batch statistics are no part of the story.

    Raises
    ------
    TypeError
        If the story is not about the module's prior.
    """

    priors: ClassVar[tuple[type[LatentPrior], ...]]
    prior: LatentPrior

    def __init__(self, module: MixtureVAE):
        if not isinstance(module.prior, self.priors):
            expected = " or a ".join(kind.__name__ for kind in self.priors)
            model = type(self).__name__.removesuffix("Story")
            raise TypeError(
                f"expected a module whose prior is a {expected}, found "
                f"{type(module.prior).__name__}; take the module of a model of class {model}"
            )
        self.module, self.prior = module, module.prior

    @abstractmethod
    def model(
        self,
        x: Float[Tensor, "cells genes"] | None,
        c: Float[Tensor, "cells C"],
        log_depth: Float[Tensor, "cells 1"],
    ) -> Tensor:
        """How the expression of cells comes about.

        Parameters
        ----------
        x
            Expression, dense, or ``None`` to draw it.
        c
            Covariates as :class:`~mixvi.module.Covariates` gives them.
        log_depth
            Log of the library size or size factor; zeros for data that are not counts.
        """

    @abstractmethod
    def guide(
        self,
        x: Float[Tensor, "cells genes"],
        c: Float[Tensor, "cells C"],
        log_depth: Float[Tensor, "cells 1"],
    ) -> None:
        """How the networks guess what was behind a cell; parameters as in :meth:`model`."""

    def _express(self, z: Tensor, c: Tensor, log_depth: Tensor, x: Tensor | None) -> Tensor:
        """z, c → x: the state is all that expression knows of what is above it.

        Batch and condition act on it directly. The depth is given, not explained.
        """
        hidden = self.module.decoder(z, c)
        genes = self.module.likelihood(hidden, log_depth.expand(*z.shape[:-1], 1))
        return pyro.sample("x", CellExpression(genes), obs=x)

    def _encode(self, x: Tensor, c: Tensor) -> Tensor:
        """Return h, the trunk of all guesses from x; it sees c where conditioning says so."""
        seen = torch.log1p(x) if self.module.likelihood.is_count else x
        return self.module.encoder(seen, c if self.module.encode_covariates else None)

    def _standard(self, n: int) -> TorchDistribution:
        """N(0, I) in n dimensions."""
        # not c.new_zeros: Pyro would take the zeros for something that depends on c
        zeros = next(self.module.parameters()).new_zeros(n)
        return vector(Normal(zeros, torch.ones_like(zeros)))
