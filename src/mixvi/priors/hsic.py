"""Dependence of two variables from their kernel matrices."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

__all__ = ["hsic"]


def hsic(kernel_x: Float[Tensor, "n n"], kernel_y: Float[Tensor, "n n"]) -> Float[Tensor, ""]:
    r"""Hilbert–Schmidt independence criterion, the biased estimate of :cite:t:`gretton2005`.

    .. math:: \frac{1}{n^2} \mathrm{tr}(K H L H), \quad H = I - \tfrac1n \mathbf 1 \mathbf 1^\top

    Never negative; 0 where either matrix is constant, and of the order of 1/n for independent
    variables. With responsibilities Q, π their mean and L = Q diag(1/π) Qᵀ it is
    Σ_{k<l} π_kπ_l MMD²(P_k, P_l), with P_k the cells weighted by column k. Takes n² numbers.

    Parameters
    ----------
    kernel_x, kernel_y
        K and L, symmetric and positive semidefinite.
    """
    row_means = kernel_x.mean(0)
    centered = kernel_x - row_means - row_means[:, None] + row_means.mean()
    return (centered * kernel_y).mean()
