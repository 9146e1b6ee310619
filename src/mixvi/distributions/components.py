"""The components p(z | w, y = k): where each cluster lies, and how a style moves it."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Normal

__all__ = ["Components", "LowRankStyle", "NetworkStyle"]

Covariance = Literal["diag", "spherical", "tied", "unit"]
LOG_VARIANCE_RANGE = (-6.0, 3.0)
LOG_FACTOR_RANGE = (-3.0, 3.0)  # how far a style may change a log variance


class _CenteredNetwork(nn.Module):
    """A network that is 0 at 0, and learns no faster than a single parameter.

    Every step of Adam moves each weight by about the learning rate, and a sum over the width by
    width times that; divided by the width the style moves the components as gently as these move
    themselves.
    """

    def __init__(self, n_in: int, n_hidden: int, n_out: int):
        super().__init__()
        self.hidden = nn.Linear(n_in, n_hidden)
        self.last = nn.Linear(n_hidden, n_out, bias=False)  # a bias would cancel
        nn.init.zeros_(self.last.weight)

    def forward(self, w: Tensor) -> Tensor:
        at_zero = self.hidden.bias.tanh()
        return self.last((self.hidden(w).tanh() - at_zero) / self.hidden.out_features)


class NetworkStyle(nn.Module):
    """(w, c) → f(w, c) − f(0, 0): shifts of every component's mean and log variance.

    f is a network. The style 0 changes nothing, so μ_k stays the center of its component; the last
    layer starts at zero, so at first no style does and the components can be started from clusters
    of z. Costs K·2D outputs for every cell: for few components.

    Parameters
    ----------
    n_in
        Dimensions of w, plus covariates where the components see them.
    n_components, n_latent
        K and D.
    n_hidden
        Width of the network.
    """

    def __init__(self, n_in: int, n_components: int, n_latent: int, n_hidden: int = 64):
        super().__init__()
        self.shape = (n_components, n_latent)
        self.network = _CenteredNetwork(n_in, n_hidden, 2 * n_components * n_latent)

    def forward(
        self, w: Float[Tensor, "*cells n_in"]
    ) -> tuple[Float[Tensor, "*cells K D"], Float[Tensor, "*cells K D"]]:
        """Return (Δμ, Δ log σ²)."""
        shift, log_factor = self.network(w).unflatten(-1, (2, *self.shape)).unbind(-3)
        return shift, log_factor.clamp(*LOG_FACTOR_RANGE)


class LowRankStyle(nn.Module):
    r"""(w, c) → Δμ_k = U_k s(w) with a few shared style factors s, and one shift of log σ².

    The network costs the same for any K, and the distances of all cells to all components are one
    matrix product: with s_0 = 1, U_0 = μ, Λ = 1/σ² and e the factor of the precision,

    .. math:: \sum_d \bigl[(m - \textstyle\sum_r s_r U_{kr})^2 + v\bigr] e \Lambda_k
              = [(m^2 + v) e] \cdot \Lambda_k - 2 \sum_r [s_r m e] \cdot [U_{kr} \Lambda_k]
              + \sum_{rt} [s_r s_t e] \cdot [U_{kr} U_{kt} \Lambda_k].

    For many components.

    Parameters
    ----------
    n_in, n_components, n_latent, n_hidden
        As in :class:`NetworkStyle`.
    rank
        Number of style factors.
    """

    def __init__(
        self, n_in: int, n_components: int, n_latent: int, n_hidden: int = 64, rank: int = 4
    ):
        super().__init__()
        self.network = _CenteredNetwork(n_in, n_hidden, rank + n_latent)
        self.loadings = nn.Parameter(torch.randn(rank, n_components, n_latent) / rank**0.5)

    def forward(
        self, w: Float[Tensor, "*cells n_in"]
    ) -> tuple[Float[Tensor, "*cells K D"], Float[Tensor, "*cells 1 D"]]:
        """Return (Δμ, Δ log σ²)."""
        factors, log_factor = self._factors(w)
        return torch.einsum("...r,rkd->...kd", factors, self.loadings), log_factor.unsqueeze(-2)

    def distance(
        self,
        mean: Float[Tensor, "*cells D"],
        variance: Float[Tensor, "*cells D"],
        loc: Float[Tensor, "K D"],
        log_variance: Float[Tensor, "K D"],
        w: Float[Tensor, "... n_in"],
    ) -> Float[Tensor, "*cells K"]:
        """Σ_d [E(z_d − μ_kd − Δμ_kd)² / σ²_kd + log σ²_kd] at the style's σ²."""
        factors, log_factor = self._factors(w)
        shares = torch.cat([torch.ones_like(factors[..., :1]), factors], -1).unsqueeze(-1)
        loadings = torch.cat([loc[None], self.loadings]).transpose(0, 1)
        precision = (-log_variance).exp().unsqueeze(-2)
        weighed = loadings * precision
        n = loadings.shape[-2]
        first, second = torch.triu_indices(n, n, device=loc.device)
        both = torch.where(first == second, 1.0, 2.0).to(loc)[:, None]  # rt and tr
        pairs = both * shares.index_select(-2, first) * shares.index_select(-2, second)
        products = loadings.index_select(-2, first) * weighed.index_select(-2, second)
        square, cross = (mean.square() + variance).unsqueeze(-2), -2 * shares * mean.unsqueeze(-2)
        pairs = pairs.expand(*mean.shape[:-1], len(first), mean.shape[-1])
        of_cells = torch.cat([square, cross, pairs], -2) * (-log_factor).exp().unsqueeze(-2)
        of_components = torch.cat([precision, weighed, products], -2)
        quadratic = of_cells.flatten(-2) @ of_components.flatten(-2).t()
        return quadratic + log_variance.sum(-1) + log_factor.sum(-1, keepdim=True)

    def _factors(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Style factors s and Δ log σ²."""
        rank = self.loadings.shape[0]
        factors, log_factor = self.network(w).split([rank, self.loadings.shape[-1]], -1)
        return factors, log_factor.clamp(*LOG_FACTOR_RANGE)


class Components(nn.Module):
    r"""K diagonal normal distributions of z, moved by a style where there is one.

    .. math:: p(z \mid w, y = k) = N(\mu_k + \Delta\mu_k(w),
              \mathrm{diag}\,\exp(\log\sigma_k^2 + \Delta_k(w)))

    Without a style (or with a :class:`LowRankStyle`) the densities and divergences of all cells to
    all components are matrix products (−½ z²Λᵀ + z(μΛ)ᵀ + const, z and μ measured from the middle
    of the components), never a cells × K × D array.

    Parameters
    ----------
    n_components, n_latent
        K and D.
    style
        :class:`NetworkStyle`, :class:`LowRankStyle` or ``None``.
    covariance
        ``"diag"``: every component has its σ². ``"spherical"``: one number each. ``"tied"``: they
        share one diagonal, so that no component can win cells by being wide. ``"unit"``: σ² = 1,
        not learned.
    """

    def __init__(
        self,
        n_components: int,
        n_latent: int,
        style: NetworkStyle | LowRankStyle | None = None,
        *,
        covariance: Covariance = "diag",
    ):
        super().__init__()
        self.loc = nn.Parameter(torch.randn(n_components, n_latent))
        n_rows = 1 if covariance in ("tied", "unit") else n_components
        n_columns = 1 if covariance == "spherical" else n_latent
        self.free = covariance != "unit"
        self.log_variance = nn.Parameter(torch.zeros(n_rows, n_columns), requires_grad=self.free)
        self.style = style

    def forward(self, w: Float[Tensor, "... n_in"] | None = None) -> Normal:
        r"""Return p(z | w, y = k) for every k: loc and scale of shape (\\*cells, K, D).

        Without a ``w`` the components rest at the style 0, and the shape is (K, D).
        """
        loc, log_variance = self._moved(w)
        return Normal(loc, (0.5 * log_variance).exp(), validate_args=False)

    @torch.no_grad()
    def set_moments_(
        self,
        share: Float[Tensor, " K"],
        loc: Float[Tensor, "K D"],
        variance: Float[Tensor, "K D"],
    ) -> None:
        """Set μ and, as far as it is free, σ²: averaged over what components or axes share.

        Parameters
        ----------
        share
            Weights of the components in the average.
        loc, variance
            Moments of every component's cells.
        """
        self.loc.copy_(loc)
        if not self.free:
            return
        n_rows, n_columns = self.log_variance.shape
        if n_rows < len(variance):
            variance = (share / share.sum()) @ variance
        if n_columns < loc.shape[-1]:
            variance = variance.mean(-1, keepdim=True)
        self.log_variance.copy_(variance.log())

    def log_prob(
        self, z: Float[Tensor, "*cells D"], w: Float[Tensor, "... n_in"] | None = None
    ) -> Float[Tensor, "*cells K"]:
        """Log p(z | w, y = k) of every cell and component, in nats."""
        log_2pi = torch.log(torch.tensor(2 * torch.pi, dtype=z.dtype, device=z.device))
        return -0.5 * (self._distance(z, torch.zeros_like(z), w) + z.shape[-1] * log_2pi)

    def log_prob_around(
        self, qz: Normal, points: Float[Tensor, "S D"]
    ) -> Float[Tensor, "S *cells K"]:
        r"""Log p(z | w = 0, y = k) at z = m + s ε, for every q(z | x) = N(m, s²) and point ε.

        One product, of [s, s m, s²] of the cells with what the points and the components have to
        each of them; no z is made, and nothing of the size of cells × K × D. In memory the
        components come first: what is done over them is done for many cells at a time.

        .. math:: \log p(m) + \sum_d \bigl[\varepsilon_d\, s_d (\mu_{kd} - m_d) / \sigma^2_{kd}
                  - \tfrac{1}{2} \varepsilon_d^2\, s_d^2 / \sigma_{kd}^2\bigr]
        """
        loc, log_variance = self._at_rest()
        middle = loc.detach().mean(0)
        mean, scale = qz.loc.flatten(0, -2), qz.scale.flatten(0, -2)
        of_cells = torch.cat([scale, scale * (mean - middle), scale.square()], -1).t().contiguous()
        steps = points * (-log_variance).exp().unsqueeze(1)
        slope = steps * (loc - middle).unsqueeze(1)
        of_points = torch.cat([slope, -steps, -0.5 * steps * points], -1) @ of_cells
        of_points += self.log_prob(mean).t().contiguous().unsqueeze(1)
        return of_points.movedim(0, -1).view(len(points), *qz.loc.shape[:-1], len(loc))

    def kl(
        self, qz: Normal, w: Float[Tensor, "... n_in"] | None = None
    ) -> Float[Tensor, "*cells K"]:
        """KL(q(z | x) ‖ p(z | w, y = k)) of every cell and component, in nats."""
        variance = qz.scale.square()
        entropy = (variance.log() + 1).sum(-1, keepdim=True)
        return 0.5 * (self._distance(qz.loc, variance, w) - entropy)

    def _distance(self, mean: Tensor, variance: Tensor, w: Tensor | None) -> Tensor:
        """Σ_d [ E(z_d − μ_kd)² / σ²_kd + log σ²_kd ] from the mean and variance of z."""
        if isinstance(self.style, NetworkStyle) and w is not None:
            loc, log_variance = self._moved(w)
            quadratic = (mean.unsqueeze(-2) - loc).square() + variance.unsqueeze(-2)
            return (quadratic * (-log_variance).exp() + log_variance).sum(-1)
        loc, log_variance = self._at_rest()
        # the expanded square cancels badly where z is far from the origin: measure from the middle
        middle = loc.detach().mean(0)
        mean, loc = mean - middle, loc - middle
        if isinstance(self.style, LowRankStyle) and w is not None:
            return self.style.distance(mean, variance, loc, log_variance, w)
        precision = (-log_variance).exp()
        of_cells = torch.cat([mean.square() + variance, mean], -1)
        of_components = torch.cat([precision, -2 * loc * precision], -1)
        return of_cells @ of_components.t() + (loc.square() * precision + log_variance).sum(-1)

    def _moved(self, w: Tensor | None) -> tuple[Tensor, Tensor]:
        """μ and log σ² at a style."""
        loc, log_variance = self._at_rest()
        if self.style is None or w is None:
            return loc, log_variance
        shift, log_factor = self.style(w)
        return loc + shift, log_variance + log_factor

    def _at_rest(self) -> tuple[Float[Tensor, "K D"], Float[Tensor, "K D"]]:
        """μ and log σ² without a style."""
        return self.loc, self.log_variance.clamp(*LOG_VARIANCE_RANGE).expand_as(self.loc)
