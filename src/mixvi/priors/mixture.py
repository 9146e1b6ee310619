"""What the mixture priors share: components, their weights, and who belongs to them."""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Categorical, Normal
from torch.nn import functional

from mixvi.distributions import Components

from .base import LatentPrior

__all__ = ["MixturePrior"]

MIN_SPREAD = 0.05  # floor of a starting σ², so that a tight cluster does not shut others out
MIN_USAGE = 1e-6  # of a component without cells, so that its logarithm stays finite
USAGE_STEP = 0.02  # weight of one mini-batch in the running shares


class MixturePrior(LatentPrior):
    """p(y) p(z | y) with normal components.

    q(y | z) is Bayes' rule unless a ``classifier`` is given: then the components and their
    recognition cannot drift apart, and starting one starts the other.

    Parameters
    ----------
    components
        p(z | y), or p(z | w, y) of a subclass with a style.
    classifier
        Network z → logits of q(y | z), or ``None`` for Bayes' rule.

    Attributes
    ----------
    usage
        Running share of the cells in every component, followed over the mini-batches of
        training: π_k ← (1 − ρ) π_k + ρ · mean q_k with ρ = .02.
    prunes
        Whether components are meant to lose their cells.
    """

    usage: Tensor
    prunes: bool = False

    def __init__(self, components: Components, *, classifier: nn.Module | None = None):
        super().__init__()
        self.n_components, self.n_latent = components.loc.shape
        self.components = components
        self.classifier = classifier
        self.register_buffer("usage", torch.full((self.n_components,), 1 / self.n_components))

    @abstractmethod
    def weights(self) -> Float[Tensor, " K"]:
        """p(y = k)."""

    def assignment(self, z: Float[Tensor, "*cells D"], c: Float[Tensor, "cells C"]) -> Categorical:
        """q(y | z)."""
        if self.classifier is None:
            logits = self._log_joint(z, self._center_context(c))
        else:
            logits = self.classifier(self._seen(z, c))
        return Categorical(logits=logits, validate_args=False)

    def log_prob(
        self, z: Float[Tensor, "*cells D"], c: Float[Tensor, "cells C"]
    ) -> Float[Tensor, "*cells"]:
        """Log Σ_k p(y = k) p(z | y = k), a style at the mean of its prior."""
        return self._log_joint(z, self._center_context(c)).logsumexp(-1)

    def log_occupancy(
        self, z: Float[Tensor, "*cells D"], c: Float[Tensor, "cells C"]
    ) -> Float[Tensor, "*cells"]:
        """Log Σ_k π_k p(z | y = k) with the running shares of the cells as π.

        Where all components are equally likely a priori, one without cells would pass for a place
        where cells are.
        """
        log_p = self.components.log_prob(z, self._center_context(c))
        return (self.usage.clamp(min=MIN_USAGE).log() + log_p).logsumexp(-1)

    def sample(
        self, c: Float[Tensor, "cells C"], components: Int[Tensor, " cells"] | None = None
    ) -> Float[Tensor, "cells D"]:
        """Draw y ~ p(y) (unless given), z ~ p(z | y); a style is drawn, too."""
        if components is None:
            components = Categorical(self.weights().to(c.device)).sample((c.shape[0],))
        p = self.components(self._drawn_context(c))
        cells = torch.arange(c.shape[0], device=c.device)
        loc = p.loc.expand(c.shape[0], -1, -1)[cells, components]
        scale = p.scale.expand(c.shape[0], self.n_components, -1)[cells, components]
        return Normal(loc, scale).sample()

    def centers(self, c: Float[Tensor, "cells C"]) -> Normal:
        """p(z | y = k), a style at the mean of its prior."""
        p = self.components(self._center_context(c))
        shape = (c.shape[0], self.n_components, self.n_latent)
        return Normal(p.loc.expand(shape), p.scale.expand(shape))

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
        self.components.set_moments_(counts, loc, variance)
        self.usage.copy_(counts / counts.sum())
        if self.classifier is not None:
            fit_classifier(self.classifier, self._seen(z, c), weights)

    def _count_(self, q: Float[Tensor, "cells K"]) -> bool:
        """Follow the components' shares while training; whether it is training."""
        counts = self.training and torch.is_grad_enabled()
        if counts:
            self.usage.lerp_(q.detach().mean(0), USAGE_STEP)
        return counts

    def _log_joint(self, z: Tensor, context: Tensor | None) -> Tensor:
        """Log p(y = k) + log p(z | y = k)."""
        return self.weights().to(z.device).log() + self.components.log_prob(z, context)

    def _center_context(self, c: Tensor) -> Tensor | None:
        """What the components see beside y, a style at the mean of its prior."""
        return None

    def _drawn_context(self, c: Tensor) -> Tensor | None:
        """What the components see beside y, a style drawn from its prior."""
        return None

    def _seen(self, z: Tensor, c: Tensor) -> Tensor:
        """What the classifier sees."""
        return z


def one_hot_where_known(
    q: Float[Tensor, "cells K"], labels: Int[Tensor, " cells"] | None
) -> Float[Tensor, "cells K"]:
    """Responsibilities with the label in place of them where there is one."""
    if labels is None:
        return q
    known = functional.one_hot(labels.clamp(min=0), q.shape[-1]).to(q.dtype)
    return torch.where((labels >= 0)[:, None], known, q)


@torch.enable_grad()
def fit_classifier(classifier: nn.Module, x: Tensor, weights: Tensor, n_steps: int = 200) -> None:
    """Teach a network the assignments that the components were started from."""
    optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-2)
    for _ in range(n_steps):
        batch = torch.randint(len(x), (min(len(x), 512),), device=x.device)
        loss = functional.cross_entropy(classifier(x[batch]), weights[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
