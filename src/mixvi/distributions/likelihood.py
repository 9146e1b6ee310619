"""What every observation model p(x | z, c) has in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

__all__ = ["EXPLAINED", "CellDistribution", "Likelihood", "Spread"]

EXPLAINED = 2 / 3  # of the noise to start from: differences between cells, which z will know


@dataclass(frozen=True, eq=False)
class Spread:
    """Moments of the genes about a mean μ that knows a cell's depth and covariates alone.

    Attributes
    ----------
    variance
        Average of (x − μ)² over cells.
    mean, mean_square
        Averages of μ and of μ².
    n_cells
        Cells behind them.
    """

    variance: Float[Tensor, " genes"]
    mean: Float[Tensor, " genes"]
    mean_square: Float[Tensor, " genes"]
    n_cells: int


class CellDistribution(Distribution):
    """A distribution of expression that can be summed over the genes of a cell.

    ``log_prob`` gives one number for every cell and gene; ``cell_log_prob`` the sum over genes,
    computed faster and for dense or compressed ``x``. ``get_normalized`` is what scvi-tools'
    expression accessors ask for.
    """

    scale: Tensor

    @abstractmethod
    def cell_log_prob(self, x: Tensor) -> Float[Tensor, "*samples cells"]:
        """Log p(x | z) = Σ_g log p(x_g | z), in nats."""

    def get_normalized(self, key: str) -> Tensor:
        """Expression freed of the cell's depth (``"scale"``) or at its depth (``"mu"``).

        Raises
        ------
        ValueError
            If ``key`` is neither.
        """
        if key == "scale":
            return self.scale
        if key == "mu":
            return self.mean
        raise ValueError(f"expected 'scale' or 'mu', found {key!r}")


class Likelihood(nn.Module):
    """The last arrow of the generative model: hidden layer of the decoder → p(x | z, c).

    Attributes
    ----------
    is_count
        Whether ``x`` must be raw counts; then the cell's depth enters the mean and the encoder
        sees log(1 + x).
    """

    is_count: ClassVar[bool] = True

    @property
    @abstractmethod
    def head(self) -> nn.Linear:
        """From the hidden layer to the mean of every gene, before :meth:`link`'s inverse."""

    @abstractmethod
    def link(self, mean: Tensor) -> Tensor:
        """What the head must give for a mean expression, freed of the cell's depth."""

    def start_at_spread_(self, spread: Spread) -> None:
        """Begin with the noise that cells show, if noise is a parameter of its own."""

    @abstractmethod
    def forward(
        self,
        h: Float[Tensor, "*samples cells hidden"],
        log_depth: Float[Tensor, "*samples cells 1"],
    ) -> CellDistribution:
        """Return p(x | z, c); ``log_depth`` is the log library size or log size factor."""
