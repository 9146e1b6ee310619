"""RMVE told in Pyro: how cells come about, and how the networks guess what was behind them."""

from __future__ import annotations

import pyro
from jaxtyping import Float, Int
from pyro import distributions as dist
from torch import Tensor

from mixvi.module import YConditionalVAE
from mixvi.priors import GaussianMixture, StandardPrior

from .base import Story, member, vector

__all__ = ["RMVEStory"]


class RMVEStory(Story):
    r"""The generative story and the guide of :class:`~mixvi.model.RMVE` :cite:p:`solari`.

    Nothing is integrated by hand: z is drawn and only y is summed, by Pyro. The expectation of
    ``TraceEnum_ELBO`` is minus the sum over cells of the module's objective. There are three
    guides, and which one is told depends on the module:

    ==================================  =========================================
    q(z | x) p(y | z), at the same z    shared encoder, Bayes' rule (VaDE)
    q(z | x) q(y | x)                   shared encoder, a network for y
    q(y | x) q(z | x, y)                :class:`~mixvi.module.YConditionalVAE`
    ==================================  =========================================

    With Bayes' rule the module draws no more than the guide does, so the two agree in every draw
    of z and not only on average. With a :class:`~mixvi.priors.StandardPrior` there is no y, and
    the story is that of a plain VAE.

    Parameters
    ----------
    module
        A module whose prior is a :class:`~mixvi.priors.GaussianMixture` or a
        :class:`~mixvi.priors.StandardPrior`, in evaluation mode: dropout, batch statistics and the
        moving moments are no part of the story.

    Raises
    ------
    TypeError
        If the module has another prior.

    Examples
    --------
    >>> from pyro.infer import TraceEnum_ELBO
    >>> story = RMVEStory(module)  # doctest: +SKIP
    >>> elbo = TraceEnum_ELBO(max_plate_nesting=1)  # doctest: +SKIP
    >>> elbo.loss(story.model, story.guide, x, c, log_depth)  # doctest: +SKIP
    """

    priors = (GaussianMixture, StandardPrior)
    prior: GaussianMixture | StandardPrior

    def model(
        self,
        x: Float[Tensor, "cells genes"] | None,
        c: Float[Tensor, "cells C"],
        log_depth: Float[Tensor, "cells 1"],
        labels: Int[Tensor, " cells"] | None = None,
    ) -> Tensor:
        """How the expression of cells comes about.

        Parameters
        ----------
        x, c, log_depth
            As in :meth:`Story.model`.
        labels
            The component of every cell, where it is known: then y is observed, and the bound is
            the supervised one of the draft (equation 3) without its term for the classifier. A
            plain VAE has one component, of which labels say nothing.
        """
        prior = self.prior
        with pyro.plate("cells", len(c)):
            if isinstance(prior, StandardPrior):
                # N(0, I) → z: one place for all cells.
                z = pyro.sample("z", self._standard(prior.n_latent))
            else:
                components = prior.components()

                # p(μ, σ) ∝ h^λ: the components want to be apart. A prior of parameters belongs
                # outside the plate, where beside n cells it would weigh 1/n and do nothing. It is
                # tempered: here, inside, every cell brings its own λ log h.
                if prior.repulsion is not None:
                    log_h = prior.repulsion(components.loc, components.scale.square())
                    pyro.factor("repulsion", prior.strength * log_h)

                # π → y: a cell belongs to one component; π is how common each is.
                y = pyro.sample("y", dist.Categorical(prior.weights()), obs=labels)

                # y → z: the component says where the cell's state lies.
                z = pyro.sample("z", member(components, y))

            # z, c → x
            return self._express(z, c, log_depth, x)

    def guide(
        self,
        x: Float[Tensor, "cells genes"],
        c: Float[Tensor, "cells C"],
        log_depth: Float[Tensor, "cells 1"],
        labels: Int[Tensor, " cells"] | None = None,
    ) -> None:
        """How the networks guess what was behind a cell; parameters as in :meth:`model`."""
        with pyro.plate("cells", len(c)):
            h = self._encode(x, c)
            if isinstance(self.module, YConditionalVAE):
                # x → y, and x, y → z: every component has its own idea of where the cell lies.
                # What is known need not be guessed; what is not, Pyro sums over.
                y = labels if labels is not None else _guess(self.module.y_posterior(h))
                pyro.sample("z", member(self.module.z_posterior(h), y))
                return

            # x → z: one guess, for which the components compete.
            qz = self.module.z_posterior(h)
            z = pyro.sample("z", vector(qz))
            if isinstance(self.prior, StandardPrior) or labels is not None:
                return

            # z → y by Bayes' rule, of the z that is scored, so that no better guess exists; or
            # x → y by a network, which reads the mean of q(z | x).
            source = z if self.prior.classifier is None else qz.loc
            _guess(self.prior.assignment(source, c).logits)


def _guess(logits: Tensor) -> Tensor:
    """Guess y; Pyro sums over all values."""
    return pyro.sample("y", dist.Categorical(logits=logits), infer={"enumerate": "parallel"})
