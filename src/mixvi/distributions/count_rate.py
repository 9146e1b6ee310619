"""Expected counts: how a decoder's hidden layer becomes a rate for every gene."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CountRate"]

MIN_MEAN = 1e-8  # of a gene that no cell has


class CountRate(nn.Module):
    r"""Expected counts μ = depth · ρ.

    ρ = softmax(A h) is the expected share of every gene when the depth is the observed library
    size :cite:p:`lopez2018`; with user-given size factors (close to 1) ρ = softplus(A h).

    Parameters
    ----------
    n_hidden
        Width of the decoder's hidden layer.
    n_genes
        Number of genes.
    shares
        Whether ρ is a share that sums to 1 over genes.
    """

    def __init__(self, n_hidden: int, n_genes: int, *, shares: bool = True):
        super().__init__()
        self.logits = nn.Linear(n_hidden, n_genes)
        self.shares = shares

    def link(self, mean: Tensor) -> Tensor:
        """Logits of shares, or of factors."""
        mean = mean.clamp(min=MIN_MEAN)
        return mean.log() if self.shares else mean + (-(-mean).expm1()).log()

    def forward(
        self,
        h: Float[Tensor, "*samples cells hidden"],
        log_depth: Float[Tensor, "*samples cells 1"],
    ) -> tuple[Float[Tensor, "*samples cells genes"], Float[Tensor, "*samples cells genes"]]:
        """Return (μ, ρ)."""
        logits = self.logits(h)
        scale = functional.softmax(logits, -1) if self.shares else functional.softplus(logits)
        return log_depth.exp() * scale, scale
