"""Count matrices that arrive dense or compressed by rows: the few operations the models need.

Every function takes both layouts and gives the same numbers, so that the encoder and the
likelihoods never ask which one came.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

__all__ = ["Nonzeros", "dense", "is_sparse", "linear", "map_nonzeros", "row_sums"]


def is_sparse(x: Tensor) -> bool:
    """Whether ``x`` has a compressed layout (CSR or CSC)."""
    return x.layout in (torch.sparse_csr, torch.sparse_csc)


def dense(x: Tensor) -> Tensor:
    """``x`` as an ordinary tensor, cells × genes."""
    return x.to_dense() if is_sparse(x) else x


def map_nonzeros(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function with f(0) = 0, such as log1p, in the layout of ``x``."""
    if not is_sparse(x):
        return function(x)
    x = x.to_sparse_csr()
    return torch.sparse_csr_tensor(
        x.crow_indices(),
        x.col_indices(),
        function(x.values()),
        size=x.shape,
        check_invariants=False,  # the indices are those of x; left open, torch warns
    )


def row_sums(x: Tensor) -> Float[Tensor, "cells 1"]:
    """Total count of every cell."""
    if not is_sparse(x):
        return x.sum(-1, keepdim=True)
    nonzeros = Nonzeros(x)
    return nonzeros.sum_by_cell(nonzeros.values)[:, None]


def linear(x: Tensor, weight: Float[Tensor, "out in"]) -> Float[Tensor, "*cells out"]:
    """``x @ weight.T``, with a dense result and a dense gradient."""
    if not is_sparse(x):
        return functional.linear(x, weight)
    return x.to_sparse_csr() @ weight.t()


class Nonzeros:
    """The non-zero entries of a count matrix, ready to look parameters up at them.

    Count likelihoods need their expensive functions (lgamma) only here: at x = 0 they cancel.

    Parameters
    ----------
    x
        Counts, cells × genes, dense or compressed.
    """

    def __init__(self, x: Tensor):
        self.shape = x.shape
        self.rows: Int[Tensor, " n"]
        self.columns: Int[Tensor, " n"]
        self.values: Float[Tensor, " n"]
        if is_sparse(x):
            x = x.to_sparse_csr()
            cells = torch.arange(x.shape[0], device=x.device)
            self.rows = cells.repeat_interleave(x.crow_indices().diff())
            self.columns, self.values = x.col_indices().long(), x.values()
        else:
            self.rows, self.columns = x.nonzero(as_tuple=True)
            self.values = x[self.rows, self.columns]
        self._flat = self.rows * x.shape[1] + self.columns

    def take(self, parameter: Tensor) -> Float[Tensor, "*samples n"]:
        r"""The parameter at the non-zero entries.

        Parameters
        ----------
        parameter
            (\\*samples, cells, genes), or (genes,) where all cells share it.
        """
        if parameter.ndim == 1:
            return parameter.index_select(0, self.columns)
        return parameter.flatten(-2).index_select(-1, self._flat)

    def sum_by_cell(self, values: Float[Tensor, "*samples n"]) -> Float[Tensor, "*samples cells"]:
        """Add the values up within every cell."""
        total = values.new_zeros(*values.shape[:-1], self.shape[0])
        return total.index_add(-1, self.rows, values)
