"""Count matrices that arrive dense or compressed by rows: the few operations the models need.

Every function takes both layouts and gives the same numbers, so that the encoder and the
likelihoods never ask which one came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from .precision import full_precision

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
    with full_precision(x.device):
        return x.to_sparse_csr() @ x.new_ones(x.shape[1], 1, layout=torch.strided)


def linear(x: Tensor, weight: Float[Tensor, "out in"]) -> Float[Tensor, "*cells out"]:
    """``x @ weight.T``, with a dense result and a dense gradient.

    With a compressed ``x`` it is fast where ``weight.T`` is contiguous: a gene's weights lie side
    by side.
    """
    if not is_sparse(x):
        return functional.linear(x, weight)
    return _SparseProduct.apply(x.to_sparse_csr(), weight.t())


class _SparseProduct(torch.autograd.Function):
    """A compressed matrix times a dense one that has a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dense: Tensor) -> Tensor:
        ctx.x = x
        return _product(x, dense)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, _product(_transposed(ctx.x), gradient.contiguous())


def _product(x: Tensor, dense: Tensor) -> Tensor:
    """A CSR matrix times a dense one."""
    if x.device.type != "cpu":
        with full_precision(x.device):
            return x @ dense
    # on a processor, weighted sums of rows take half the time of torch's sparse product
    return functional.embedding_bag(
        x.col_indices(),
        dense,
        x.crow_indices(),
        mode="sum",
        per_sample_weights=x.values(),
        include_last_offset=True,
    )


def _transposed(x: Tensor) -> Tensor:
    """A CSR matrix's transpose, as CSR."""
    if x.device.type != "cpu":
        return x.t().to_sparse_csr()
    # torch sorts the indices; SciPy counts them, which takes a tenth of the time
    parts = (x.values().numpy(), x.col_indices().numpy(), x.crow_indices().numpy())
    columns = sparse.csr_matrix(parts, shape=tuple(x.shape)).tocsc()
    return torch.sparse_csr_tensor(
        torch.from_numpy(columns.indptr),
        torch.from_numpy(columns.indices),
        torch.from_numpy(columns.data),
        size=columns.shape[::-1],
        check_invariants=False,  # SciPy made them; left open, torch warns
    )


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

    def sum_by_gene(self, values: Float[Tensor, "*samples n"]) -> Float[Tensor, " genes"]:
        """Add the values up within every gene, over all samples."""
        values = values.reshape(-1, len(self.columns)).sum(0)
        return values.new_zeros(self.shape[1]).index_add_(0, self.columns, values)

    def add_to_(
        self, matrix: Float[Tensor, "*samples cells genes"], values: Float[Tensor, "*samples n"]
    ) -> None:
        """Add the values to a matrix where the counts are not zero, in place."""
        matrix.flatten(-2).index_add_(-1, self._flat, values)
