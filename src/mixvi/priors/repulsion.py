r"""Repulsion: a prior of all components together, which wants them apart.

p(μ, σ²) ∝ h(μ, σ²) Π_k p(μ_k, σ²_k) with 0 < h ≤ 1 that falls where two components come to mean the
same. Every form is a function of a measure of separation of two components, and none has
parameters to learn:

=============  ===========================================  ====================
form           separation of k and l                        what it moves
=============  ===========================================  ====================
``mmd``        MMD²(P_k, P_l), Gaussian kernel              means and variances
``means``      ‖μ_k − μ_l‖ in pooled standard deviations    means
``hellinger``  1 − ∫ √(P_k P_l)                             means and variances
``dpp``        the same, of all components at once          means and variances
=============  ===========================================  ====================

A prior counts once per data set: beside n cells log h is felt only with a weight of the order of n.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .merging import kernel_means

__all__ = [
    "DPPRepulsion",
    "HellingerRepulsion",
    "MMDRepulsion",
    "MeansRepulsion",
    "PairwiseRepulsion",
    "Repulsion",
    "bhattacharyya",
    "repulsion",
]

EPSILON = 1e-6  # what two equal components are apart, so that log h and its slope are finite
JITTER = 1e-4  # the same for a determinant, well above float32's error in an eigenvalue


def bhattacharyya(
    loc: Float[Tensor, "K D"], variance: Float[Tensor, "#K D"]
) -> Float[Tensor, "K K"]:
    r"""Bhattacharyya coefficient ∫ √(P_k P_l) of normals with diagonal covariance.

    .. math:: b_{kl} = \prod_j \sqrt{\frac{2\sigma_{kj}\sigma_{lj}}{\sigma^2_{kj}+\sigma^2_{lj}}}
              \exp\Bigl(-\frac{(\mu_{kj}-\mu_{lj})^2}{4(\sigma^2_{kj}+\sigma^2_{lj})}\Bigr)

    1 for equal components, 0 for components that do not overlap, the same after any change of the
    axes' scales. A matrix of inner products (of √P_k), so positive semidefinite.

    Parameters
    ----------
    loc, variance
        Moments of the components; one row of variances may serve all.
    """
    total = variance[:, None] + variance[None]
    log_variance = variance.log()
    squared = (loc[:, None] - loc[None]).square()
    log_mean = 0.5 * (log_variance[:, None] + log_variance[None])
    log_b = 0.5 * (log_mean - (0.5 * total).log()) - 0.25 * squared / total
    return log_b.sum(-1).exp()


class Repulsion(nn.Module):
    """Log h of the components: 0 where they are as separate as can be, very negative where not."""

    @abstractmethod
    def forward(
        self, loc: Float[Tensor, "K D"], variance: Float[Tensor, "#K D"]
    ) -> Float[Tensor, ""]:
        """Log h(μ, σ²), at most 0; 0 for a single component.

        Parameters
        ----------
        loc, variance
            Moments of the components; one row of variances may serve all (tied).
        """


class PairwiseRepulsion(Repulsion):
    r"""A product over pairs of components, of a function that saturates.

    .. math:: \log h = \frac1K \sum_{k<l} \log \frac{D_{kl} + \varepsilon}{g_0 + D_{kl}}

    with the separation D of the form and ε = 10⁻⁶: the prior of :cite:t:`xie2020` that is a product
    over pairs, with g(D) = D/(g₀ + D). A pair at D = g₀ is (log 2)/K short of 0, and its slope in
    log D is g₀/(g₀ + D).

    Parameters
    ----------
    offset
        g₀ > 0. Small: only pairs that all but coincide are pushed. Large: every pair is, as by
        log D itself.
    """

    def __init__(self, offset: float):
        super().__init__()
        self.offset = offset

    @abstractmethod
    def separation(
        self, loc: Float[Tensor, "K D"], variance: Float[Tensor, "#K D"]
    ) -> Float[Tensor, "K K"]:
        """D of every pair, ≥ 0 and symmetric."""

    def forward(
        self, loc: Float[Tensor, "K D"], variance: Float[Tensor, "#K D"]
    ) -> Float[Tensor, ""]:
        """Log h(μ, σ²)."""
        n_components = len(loc)
        pairs = torch.triu_indices(n_components, n_components, 1, device=loc.device)
        separation = self.separation(loc, variance)[pairs[0], pairs[1]]
        log_g = (separation + EPSILON).log() - (separation + self.offset).log()
        return log_g.sum() / n_components


class MMDRepulsion(PairwiseRepulsion):
    r"""Maximum mean discrepancy :cite:p:`gretton2012`, k(z, z') = exp(−‖z − z'‖²/2s²).

    .. math:: D_{kl} = \mathrm{MMD}^2(P_k, P_l) = e_{kk} + e_{ll} - 2 e_{kl}, \quad
              s^2 = \dim(z) \cdot \mathrm{mean}\,\sigma^2

    with e of :func:`kernel_means`. The sum of π_kπ_l D_kl over pairs is the dependence (HSIC) of
    state and component. The same in every unit of z: the bandwidth is a unit, and no gradient
    passes through it. D is at most e_kk + e_ll, which grows as a component narrows, so pairs that
    are far apart no longer push each other but still would be narrower.

    Parameters
    ----------
    offset
        g₀, to be compared with D of components far apart: .74 for equal variances and large D.
    """

    def __init__(self, offset: float = 0.25):
        super().__init__(offset)

    def separation(
        self, loc: Float[Tensor, "K D"], variance: Float[Tensor, "#K D"]
    ) -> Float[Tensor, "K K"]:
        """MMD² of every pair."""
        bandwidth = loc.shape[-1] * variance.detach().mean()
        kernel = kernel_means(loc, variance.expand_as(loc), bandwidth)
        own = kernel.diagonal()
        return (own[:, None] + own[None] - 2 * kernel).clamp(min=0)


class MeansRepulsion(PairwiseRepulsion):
    r"""Distance of the means, the repulsion of :cite:t:`xie2020`.

    .. math:: D_{kl} = \sqrt{\textstyle\sum_j (\mu_{kj} - \mu_{lj})^2 / \bar\sigma^2_j
              + \varepsilon}

    with σ̄² the variance within components, averaged over them: a unit, through which no gradient
    passes, so this form moves means alone. The same after any change of the axes' scales. Its
    push falls as 1/D² only, where the others' falls as a Gaussian does.

    Parameters
    ----------
    offset
        g₀, in standard deviations.
    """

    def __init__(self, offset: float = 1.0):
        super().__init__(offset)

    def separation(
        self, loc: Float[Tensor, "K D"], variance: Float[Tensor, "#K D"]
    ) -> Float[Tensor, "K K"]:
        """Distance of every pair, in standard deviations."""
        whitened = loc / variance.detach().mean(0).sqrt()
        squared = (whitened[:, None] - whitened[None]).square().sum(-1)
        return (squared + EPSILON).sqrt()  # the root of 0 has no slope


class HellingerRepulsion(PairwiseRepulsion):
    r"""Squared Hellinger distance, D = 1 − b with b of :func:`bhattacharyya`.

    Between 0 and 1, the same after any change of the axes' scales, and flat in means and variances
    where components do not overlap.

    Parameters
    ----------
    offset
        g₀, to be compared with 1.
    """

    def __init__(self, offset: float = 0.25):
        super().__init__(offset)

    def separation(
        self, loc: Float[Tensor, "K D"], variance: Float[Tensor, "#K D"]
    ) -> Float[Tensor, "K K"]:
        """Squared Hellinger distance of every pair."""
        return (1 - bhattacharyya(loc, variance)).clamp(min=0)


class DPPRepulsion(Repulsion):
    r"""Determinantal point process :cite:p:`kulesza2012` with b of :func:`bhattacharyya` as kernel.

    .. math:: \log h = \frac1K \log\det \frac{b + \varepsilon I}{1 + \varepsilon}

    with ε = 10⁻⁴. The volume spanned by the functions √P_k: 0 where no two components overlap,
    and unlike a product over pairs also low where one component lies in the span of several.
    """

    def forward(
        self, loc: Float[Tensor, "K D"], variance: Float[Tensor, "#K D"]
    ) -> Float[Tensor, ""]:
        """Log h(μ, σ²)."""
        overlap = bhattacharyya(loc, variance)
        identity = torch.eye(len(loc), dtype=loc.dtype, device=loc.device)
        kernel = (overlap + JITTER * identity) / (1 + JITTER)
        return torch.linalg.slogdet(kernel).logabsdet / len(loc)


def repulsion(name: Literal["mmd", "means", "hellinger", "dpp"]) -> Repulsion:
    """Return a form of repulsion, by its name in the table above, with its default offset."""
    forms = {
        "mmd": MMDRepulsion,
        "means": MeansRepulsion,
        "hellinger": HellingerRepulsion,
        "dpp": DPPRepulsion,
    }
    return forms[name]()
