"""The Dirichlet mixture prior of CGMDVAE."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Categorical, Normal, kl_divergence
from torch.nn import functional

from mixvi.distributions import Components, GaussianArrow

from .base import LatentPrior
from .dirichlet import MixtureWeights

__all__ = ["DirichletMixture"]

MIN_SPREAD = 0.05  # floor of a starting σ², so that a tight cluster does not shut others out


class DirichletMixture(LatentPrior):
    r"""p(w) p(d) p(y | d) p(z | w, y), recognized by q(w | x) q(y | z) q(d | ·).

    .. math::

       \mathrm{kl}_z = \sum_k q_k\, \mathrm{KL}(q(z|x) \,\|\, p(z|w, y{=}k)), \quad
       \mathrm{kl}_w = \mathrm{KL}(q(w|x) \,\|\, p(w|c)), \quad q_k = q(y{=}k \mid z)

    with ``kl_y`` and ``kl_d`` of the :class:`~mixvi.priors.MixtureWeights`. Only w (and z, below)
    is sampled: y is summed out and d integrated. Equations 8 to 16 of :cite:t:`kolb2023`.

    q(y | z) is Bayes' rule with w at the mean of its prior unless a ``classifier`` is given: then
    the components and their recognition cannot drift apart, and starting one starts the other.

    Parameters
    ----------
    components
        p(z | w, y).
    mixture_weights
        What stands above y.
    style_posterior
        q(w | x) from the encoder's hidden layer, or ``None`` for no style.
    style_prior
        p(w | c) from the covariates, or ``None`` for N(0, I).
    classifier
        Network z → logits of q(y | z) (the thesis's form), or ``None`` for Bayes' rule.
    conditioned
        Whether p(z | w, y) and the classifier see the covariates too (appended to w and z).
    """

    def __init__(
        self,
        components: Components,
        mixture_weights: MixtureWeights,
        *,
        style_posterior: GaussianArrow | None = None,
        style_prior: GaussianArrow | None = None,
        classifier: nn.Module | None = None,
        conditioned: bool = False,
    ):
        super().__init__()
        self.n_components, self.n_latent = components.loc.shape
        self.n_style = 0 if style_posterior is None else style_posterior.loc.out_features
        self.components = components
        self.mixture_weights = mixture_weights
        self.style_posterior = style_posterior
        self.style_prior = style_prior
        self.classifier = classifier
        self.conditioned = conditioned

    def divergence(
        self,
        qz: Normal,
        z: Float[Tensor, "cells D"],
        h: Float[Tensor, "cells H"],
        c: Float[Tensor, "cells C"],
        labels: Int[Tensor, " cells"] | None = None,
    ) -> dict[str, Tensor]:
        """``kl_z``, ``kl_w`` (with a style), ``kl_y`` and ``kl_d`` (where d is the cell's own).

        For a cell with a label q(y | z) is replaced by the label.
        """
        w = self.style(h).rsample() if self.n_style else None
        q = self.assignment(z, c).probs
        if labels is not None:
            known = functional.one_hot(labels.clamp(min=0), self.n_components).to(q.dtype)
            q = torch.where((labels >= 0)[:, None], known, q)
        kl_z = (q * self.components.kl(qz, self._append(w, c))).sum(-1)
        return {
            "kl_z": kl_z,
            **self.style_divergence(h, c),
            **self.mixture_weights.divergence(q, z),
        }

    def style_divergence(
        self, h: Float[Tensor, "cells H"], c: Float[Tensor, "cells C"]
    ) -> dict[str, Tensor]:
        """``kl_w``, where there is a style."""
        if not self.n_style:
            return {}
        return {"kl_w": kl_divergence(self.style(h), self._style_prior(c)).sum(-1)}

    def assignment(self, z: Float[Tensor, "*cells D"], c: Float[Tensor, "cells C"]) -> Categorical:
        """q(y | z)."""
        if self.classifier is None:
            return Categorical(logits=self._log_joint(z, c, None), validate_args=False)
        seen = self._append(z, c)
        return Categorical(logits=self.classifier(seen), validate_args=False)

    def log_prob(
        self, z: Float[Tensor, "*cells D"], c: Float[Tensor, "cells C"]
    ) -> Float[Tensor, "*cells"]:
        """Log Σ_k p(y = k) p(z | w̄, y = k) at the mean w̄ of p(w | c)."""
        return self._log_joint(z, c, None).logsumexp(-1)

    def log_weight(
        self,
        z: Float[Tensor, "*cells D"],
        h: Float[Tensor, "cells H"],
        c: Float[Tensor, "cells C"],
    ) -> Float[Tensor, "*cells"]:
        """Log p(z | w) + log p(w | c) − log q(w | x) for a w ~ q(w | x)."""
        if not self.n_style:
            return self.log_prob(z, c)
        qw, pw = self.style(h), self._style_prior(c)
        w = qw.sample(z.shape[:-2])
        log_ratio = (pw.log_prob(w) - qw.log_prob(w)).sum(-1)
        return self._log_joint(z, c, w).logsumexp(-1) + log_ratio

    def log_density(self) -> Float[Tensor, ""]:
        """The global Dirichlet's −KL; 0 in the other forms."""
        return self.mixture_weights.log_density().to(self.components.loc.device)

    def sample(
        self, c: Float[Tensor, "cells C"], components: Int[Tensor, " cells"] | None = None
    ) -> Float[Tensor, "cells D"]:
        """Draw w ~ p(w | c), y ~ p(y) (unless given), z ~ p(z | w, y)."""
        if components is None:
            components = Categorical(self.weights().to(c.device)).sample((c.shape[0],))
        w = self._style_prior(c).sample() if self.n_style else None
        p = self.components(self._append(w, c))
        cells = torch.arange(c.shape[0], device=c.device)
        loc = p.loc.expand(c.shape[0], -1, -1)[cells, components]
        scale = p.scale.expand(c.shape[0], -1, -1)[cells, components]
        return Normal(loc, scale).sample()

    def centers(self, c: Float[Tensor, "cells C"]) -> Normal:
        """p(z | w̄, y = k) at the mean w̄ of p(w | c)."""
        p = self.components(self._append(self._mean_style(c), c))
        shape = (c.shape[0], self.n_components, self.n_latent)
        return Normal(p.loc.expand(shape), p.scale.expand(shape))

    def weights(self) -> Float[Tensor, " K"]:
        """p(y = k), d integrated out."""
        return self.mixture_weights.expected()

    def style(self, h: Float[Tensor, "cells H"]) -> Normal:
        """q(w | x)."""
        if self.style_posterior is None:
            return super().style(h)
        return self.style_posterior(h)

    @torch.no_grad()
    def initialize_(
        self,
        z: Float[Tensor, "cells D"],
        weights: Float[Tensor, "cells K"],
        c: Float[Tensor, "cells C"],
    ) -> None:
        """Set μ, σ² and the weights to the assigned cells' moments; fit the classifier to them.

        A component without cells keeps its place near the data's center with the data's spread.
        """
        counts = weights.sum(0)
        total = counts.clamp(min=1e-6)[:, None]
        empty = (counts < 1)[:, None]
        moved = z.mean(0) + z.std(0) * torch.randn_like(self.components.loc)
        loc = torch.where(empty, moved, weights.t() @ z / total)
        second = weights.t() @ z.square() / total
        variance = torch.where(empty, z.var(0), second - loc.square()).clamp(min=MIN_SPREAD)
        if len(self.components.log_variance) == 1:  # tied: the mean within components
            variance = (counts / counts.sum()) @ variance
        self.components.loc.copy_(loc)
        self.components.log_variance.copy_(variance.log())
        self.mixture_weights.initialize_(counts)
        if self.classifier is not None:
            seen = torch.cat([z, c], -1) if self.conditioned else z
            _fit_classifier(self.classifier, seen, weights)

    def _log_joint(self, z: Tensor, c: Tensor, w: Tensor | None) -> Tensor:
        """Log p(y = k) + log p(z | w, y = k); w at the mean of its prior where not given."""
        if w is None and self.n_style:
            w = self._mean_style(c)
        log_weights = self.weights().to(z.device).log()
        return log_weights + self.components.log_prob(z, self._append(w, c))

    def _style_prior(self, c: Tensor) -> Normal:
        if self.style_prior is not None:
            return self.style_prior(c)
        # not c.new_zeros, which would count as a dependence on c where graphs are traced
        zeros = torch.zeros(c.shape[0], self.n_style, dtype=c.dtype, device=c.device)
        return Normal(zeros, torch.ones_like(zeros), validate_args=False)

    def _mean_style(self, c: Tensor) -> Tensor | None:
        return self._style_prior(c).loc if self.n_style else None

    def _append(self, value: Tensor | None, c: Tensor) -> Tensor | None:
        """``value`` with the covariates behind it, where the arrows above z see them."""
        if not self.conditioned:
            return value
        if value is None:
            return c
        return torch.cat([value, c.expand(*value.shape[:-1], c.shape[-1])], -1)


@torch.enable_grad()
def _fit_classifier(classifier: nn.Module, z: Tensor, weights: Tensor, n_steps: int = 200) -> None:
    """Teach the network the assignments that the components were started from."""
    optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-2)
    for _ in range(n_steps):
        batch = torch.randint(len(z), (min(len(z), 512),), device=z.device)
        loss = functional.cross_entropy(classifier(z[batch]), weights[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
