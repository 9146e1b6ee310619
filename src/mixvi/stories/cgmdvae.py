"""CGMDVAE told in Pyro: how cells come about, and how the networks guess what was behind them."""

from __future__ import annotations

import pyro
import torch
from jaxtyping import Float
from pyro import distributions as dist
from pyro import poutine
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import Normal

from mixvi.module import MixtureVAE
from mixvi.priors import CollapsedDirichlet, DirichletMixture, GlobalDirichlet, NetworkDirichlet

from .base import Story, member, vector

__all__ = ["CGMDVAEStory"]


class CGMDVAEStory(Story):
    r"""The generative story and the guide of :class:`~mixvi.model.CGMDVAE` :cite:p:`kolb2023`.

    Nothing is integrated by hand: d, w and z are drawn and only y is summed, by Pyro. The
    expectation of ``TraceEnum_ELBO`` is minus the sum over cells of the module's objective.

    The module pairs the closed form :math:`\mathrm{KL}(q(z|x) \,\|\, p(z|w,y{=}k))` with a
    :math:`q_k = q(y{=}k|z)` that it reads off one z, as the GMVAE does
    :cite:p:`dilokthanakul2016`. In expectation that is the bound of a guide in which y and d are
    guessed from *another* draw z′ of q(z | x): the default here. With ``same_z`` they are guessed
    from the z that is scored, q(z | x) q(y | z), which gives

    .. math:: \mathrm{ELBO}_{\text{same } z} - \mathrm{ELBO}_{z'}
              = \textstyle\sum_k \mathrm{Cov}_{q(z,w|x)}\bigl(q_k,\, \log p(z|w,y{=}k)\bigr)

    in nats per cell: nothing where a cell's posterior lies within one component, positive where it
    spans several and q(y | z) follows them. Both bound log p(x | c) from below.

    Parameters
    ----------
    module
        A module whose prior is a :class:`~mixvi.priors.DirichletMixture`, in evaluation mode:
        dropout and batch statistics are no part of the story. All cells count as unlabeled.
    same_z
        Whether the guide guesses y and d from the z that it drew or from another one.

    Raises
    ------
    TypeError
        If the module has another prior.

    Examples
    --------
    >>> from pyro.infer import TraceEnum_ELBO
    >>> story = CGMDVAEStory(module)  # doctest: +SKIP
    >>> elbo = TraceEnum_ELBO(max_plate_nesting=1)  # doctest: +SKIP
    >>> elbo.loss(story.model, story.guide, x, c, log_depth)  # doctest: +SKIP
    """

    priors = (DirichletMixture,)
    prior: DirichletMixture

    def __init__(self, module: MixtureVAE, *, same_z: bool = False):
        super().__init__(module)
        self.same_z = same_z

    def model(
        self,
        x: Float[Tensor, "cells genes"] | None,
        c: Float[Tensor, "cells C"],
        log_depth: Float[Tensor, "cells 1"],
    ) -> Tensor:
        """How the expression of cells comes about; parameters as in :meth:`Story.model`."""
        weights = self.prior.mixture_weights
        like = self.prior.components.loc
        ones = torch.ones(self.prior.n_components, dtype=like.dtype, device=like.device)

        # The data set may have mixture weights of its own: how common every component is.
        if isinstance(weights, GlobalDirichlet):
            d = pyro.sample("d", dist.Dirichlet(weights.alpha * ones))

        with pyro.plate("cells", len(c)):
            # c → w: a style that all components share, with or without a mean of its own in
            # every condition.
            w = None
            if self.prior.n_style:
                w = pyro.sample("w", self._style_prior(c))

            # α → d → y: a cell belongs to one component. How likely it is to belong to each is
            # the cell's own matter, or the data set's, or not asked at all.
            if isinstance(weights, CollapsedDirichlet | NetworkDirichlet):
                d = pyro.sample("d", dist.Dirichlet(weights.alpha * ones))
            elif not isinstance(weights, GlobalDirichlet):
                d = ones / len(ones)
            y = pyro.sample("y", dist.Categorical(d))

            # w, y → z: the component says where the cell's state lies, the style moves and
            # reshapes the component. Fully conditioned, the covariates move it too.
            components = self.prior.components(self._with_covariates(w, c))
            z = pyro.sample("z", member(components, y))

            # z, c → x
            return self._express(z, c, log_depth, x)

    def guide(
        self,
        x: Float[Tensor, "cells genes"],
        c: Float[Tensor, "cells C"],
        log_depth: Float[Tensor, "cells 1"],
    ) -> None:
        """How the networks guess what was behind a cell; parameters as in :meth:`model`."""
        weights = self.prior.mixture_weights

        # The weights of the whole data set were counted up in training, mini-batch by mini-batch.
        if isinstance(weights, GlobalDirichlet):
            pyro.sample("d", dist.Dirichlet(weights.concentration))

        with pyro.plate("cells", len(c)):
            # x → z and x → w: one encoder with two heads.
            h = self._encode(x, c)
            qz = self.module.z_posterior(h)
            z = pyro.sample("z", vector(qz))
            if self.prior.n_style:
                pyro.sample("w", vector(self.prior.style(h)))

            # z → y: the state alone tells the component, so what was never counted can still be
            # clustered. Pyro sums over all values.
            source = z if self.same_z else self._another(qz)
            responsibilities = self.prior.assignment(source, c).probs
            pyro.sample("y", dist.Categorical(responsibilities), infer={"enumerate": "parallel"})

            # z → d: one cell is one observation of its weights, a = α + q(y | z) where this best
            # guess is used, or what a network makes of z.
            if isinstance(weights, CollapsedDirichlet):
                pyro.sample("d", dist.Dirichlet(weights.alpha + responsibilities))
            elif isinstance(weights, NetworkDirichlet):
                pyro.sample("d", dist.Dirichlet(weights.posterior(source).concentration))

    def _style_prior(self, c: Tensor) -> TorchDistribution:
        """p(w | c)."""
        if self.prior.style_prior is not None:
            return vector(self.prior.style_prior(c))
        return self._standard(self.prior.n_style)

    def _with_covariates(self, w: Tensor | None, c: Tensor) -> Tensor | None:
        """Return what the components see."""
        if not self.prior.conditioned:
            return w
        if w is None:
            return c
        return torch.cat([w, c.expand(*w.shape[:-1], c.shape[-1])], -1)

    @staticmethod
    def _another(qz: Normal) -> Tensor:
        """Draw from q(z | x) again; nothing scores it, as model and guide would agree on it."""
        with poutine.mask(mask=False):
            return pyro.sample("z_seen", vector(qz), infer={"is_auxiliary": True})
