"""What the mixture priors share: components, their weights, and who belongs to them."""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Categorical, Normal
from torch.nn import functional

from mixvi.distributions import Components
from mixvi.distributions.ranks import mean_over_ranks

from .base import LatentPrior
from .points import N_POINTS, normal_points

__all__ = ["MixturePrior"]

MIN_SPREAD = 0.05  # floor of a starting σ², so that a tight cluster does not shut others out
MARGIN = 8.0  # standard deviations from the last cell to a component without cells
MIN_USAGE = 1e-6  # of a component without cells, so that its logarithm stays finite
NEXT_TO_ZERO = -80.0  # logarithm of what counts for nothing, and is no subnormal number
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
    components_per_label
        Components of one label, where there are labels.

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

    def __init__(
        self,
        components: Components,
        *,
        classifier: nn.Module | None = None,
        components_per_label: int = 1,
    ):
        super().__init__()
        self.components_per_label = components_per_label
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

    def responsibilities(
        self, qz: Normal, c: Float[Tensor, "cells C"], n_points: int = N_POINTS
    ) -> Float[Tensor, "cells K"]:
        """q(y | x): q(y | z) averaged over q(z | x)."""
        if self.classifier is not None or self._center_context(c) is not None:
            return super().responsibilities(qz, c, n_points)
        points = normal_points(self.n_latent, n_points).to(qz.loc)
        probs = self.components.log_prob_around(qz, points).movedim(-1, 0)
        probs += self._log_weights(qz.loc)[:, None, None]
        probs -= probs.amax(0)
        # what is next to 0 is kept off the numbers that processors are slow with
        probs = probs.clamp_(min=NEXT_TO_ZERO).exp_()
        return (probs / probs.sum(0)).mean(1).t()

    def log_prob(
        self, z: Float[Tensor, "*cells D"], c: Float[Tensor, "cells C"]
    ) -> Float[Tensor, "*cells"]:
        """Log Σ_k p(y = k) p(z | y = k), a style at the mean of its prior."""
        return self._log_joint(z, self._center_context(c)).logsumexp(-1)

    def log_occupancies(
        self, z: Float[Tensor, "*cells D"], c: Float[Tensor, "cells C"]
    ) -> Float[Tensor, "*cells K"]:
        """Log π_k p(z | y = k) with the running shares of the cells as π.

        Where all components are equally likely a priori, one without cells would pass for a place
        where cells are.
        """
        log_p = self.components.log_prob(z, self._center_context(c))
        return self.usage.clamp(min=MIN_USAGE).log() + log_p

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

        A component without cells waits outside the data, in a direction of its own and as wide as
        the others: within the data it would take cells of theirs.
        """
        counts = weights.sum(0)
        total = counts.clamp(min=1e-6)[:, None]
        empty = (counts < 1)[:, None]
        loc = weights.t() @ z / total
        second = weights.t() @ z.square() / total
        variance = (second - loc.square()).clamp(min=MIN_SPREAD)
        pooled = (counts @ variance) / counts.sum()
        direction = functional.normalize(torch.randn_like(loc), dim=-1)
        radius = ((z - z.mean(0)) / pooled.sqrt()).norm(dim=-1).max() + MARGIN
        loc = torch.where(empty, z.mean(0) + radius * pooled.sqrt() * direction, loc)
        variance = torch.where(empty, pooled, variance)
        self.components.set_moments_(counts, loc, variance)
        self.usage.copy_(counts / counts.sum())
        if self.classifier is not None:
            fit_classifier(self.classifier, self._seen(z, c), weights)

    def _probs(self, q: Categorical, labels: Int[Tensor, " cells"] | None) -> Tensor:
        """Responsibilities, those of a cell with a label within the label's components."""
        return at_label(q.logits, labels, self.components_per_label).softmax(-1)

    def _count_(self, q: Float[Tensor, "cells K"]) -> bool:
        """Follow the components' shares while training; whether it is training."""
        counts = self.training and torch.is_grad_enabled()
        if counts:
            self.usage.lerp_(mean_over_ranks(q.detach().mean(0)), USAGE_STEP)
        return counts

    def _log_joint(self, z: Tensor, context: Tensor | None) -> Tensor:
        """Log p(y = k) + log p(z | y = k)."""
        return self._log_weights(z) + self.components.log_prob(z, context)

    def _log_weights(self, z: Tensor) -> Tensor:
        return self.weights().to(z.device).log()

    def _center_context(self, c: Tensor) -> Tensor | None:
        """What the components see beside y, a style at the mean of its prior."""
        return None

    def _drawn_context(self, c: Tensor) -> Tensor | None:
        """What the components see beside y, a style drawn from its prior."""
        return None

    def _seen(self, z: Tensor, c: Tensor) -> Tensor:
        """What the classifier sees."""
        return z


def at_label(
    logits: Float[Tensor, "cells K"],
    labels: Int[Tensor, " cells"] | None,
    components_per_label: int = 1,
) -> Float[Tensor, "cells K"]:
    """Logits of q(y | z, label): outside the components of a cell's label −∞.

    Parameters
    ----------
    logits
        Log q(y | z), up to a constant for every cell.
    labels
        Label of every cell, −1 where it is not known.
    components_per_label
        Label l has the components l · this to (l + 1) · this − 1.
    """
    if labels is None:
        return logits
    of_component = torch.arange(logits.shape[-1], device=logits.device) // components_per_label
    outside = (labels >= 0)[:, None] & (labels[:, None] != of_component)
    return logits.masked_fill(outside, -torch.inf)


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
