"""The hidden layers that encoder and decoder share the shape of."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .batch_norm import BatchNorm
from .sparse import dense, linear

__all__ = ["HiddenLayer", "HiddenLayers", "Norm"]

Norm = Literal["batch", "layer", "none"]


class HiddenLayer(nn.Module):
    """dropout(relu(norm(W x + V c + b))): one hidden layer, its input dense or compressed.

    Covariates enter by a matrix of their own: their columns can be told from the genes' and
    extended, and a compressed ``x`` stays compressed.

    Parameters
    ----------
    n_in, n_covariates, n_out
        Sizes of x, of c and of the result.
    norm
        ``"batch"`` (as scVI), ``"layer"`` (no dependence between the cells of a mini-batch) or
        ``"none"``.
    dropout
        Share of the hidden units that are dropped in training.
    """

    def __init__(self, n_in: int, n_covariates: int, n_out: int, *, norm: Norm, dropout: float):
        super().__init__()
        whole = nn.Linear(n_in + n_covariates, n_out)  # one draw: the usual fan-in scaling
        # out × in as everywhere in torch, but an input's weights lie side by side in memory: a
        # product with a compressed x reads and writes them so
        self.weight = nn.Parameter(whole.weight[:, :n_in].detach().t().contiguous().t())
        self.covariate_weight = (
            nn.Parameter(whole.weight[:, n_in:].detach().clone()) if n_covariates else None
        )
        self.bias = nn.Parameter(whole.bias.detach().clone())
        self.norm: nn.Module
        if norm == "batch":
            self.norm = BatchNorm(n_out)
        elif norm == "layer":
            self.norm = nn.LayerNorm(n_out, elementwise_affine=False)
        elif norm == "none":
            self.norm = nn.Identity()
        else:
            raise ValueError(f"expected norm 'batch', 'layer' or 'none', found {norm!r}")
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "*samples cells n_in"],
        c: Float[Tensor, "cells n_covariates"] | None = None,
    ) -> Float[Tensor, "*samples cells n_out"]:
        """Return the hidden units."""
        h = linear(x, self.weight)
        if self.covariate_weight is not None and c is not None:
            h = h + c @ self.covariate_weight.t()
        if isinstance(self.norm, BatchNorm) and not self.training:
            scale, shift = self.norm.folded()
            return torch.addcmul(scale * self.bias + shift, h, scale).relu_()
        h = h + self.bias
        if isinstance(self.norm, BatchNorm) and h.ndim > 2:
            h = self.norm(h.flatten(0, -2)).view_as(h)
        else:
            h = self.norm(h)
        return self.dropout(torch.relu(h))


class HiddenLayers(nn.Module):
    """A stack of hidden layers; the covariates enter each of them.

    Parameters
    ----------
    n_in, n_covariates
        Sizes of x and c.
    n_hidden
        Width.
    n_layers
        Depth. 0: nothing is hidden, x and c are passed on as they are, and what follows is linear
        in them.
    norm, dropout
        See :class:`HiddenLayer`.
    pass_covariates
        Whether what follows sees the covariates as well: c stands beside the last hidden layer.

    Attributes
    ----------
    n_out
        Size of the result: ``n_hidden`` (and that of c where it is passed on), or that of x and c
        without a layer.
    """

    def __init__(
        self,
        n_in: int,
        n_covariates: int,
        n_hidden: int = 128,
        n_layers: int = 1,
        *,
        norm: Norm = "batch",
        dropout: float = 0.1,
        pass_covariates: bool = False,
    ):
        super().__init__()
        self.n_in, self.n_covariates = n_in, n_covariates
        self.pass_covariates = pass_covariates or n_layers == 0
        self.n_out = (n_hidden if n_layers else n_in) + n_covariates * self.pass_covariates
        sizes = [n_in, *[n_hidden] * (n_layers - 1)][:n_layers]
        self.layers = nn.ModuleList(
            HiddenLayer(size, n_covariates, n_hidden, norm=norm, dropout=dropout) for size in sizes
        )

    def forward(
        self,
        x: Float[Tensor, "*samples cells n_in"],
        c: Float[Tensor, "cells n_covariates"] | None = None,
    ) -> Float[Tensor, "*samples cells n_out"]:
        """Return the last hidden layer."""
        h = x if self.layers else dense(x)
        for layer in self.layers:
            h = layer(h, c)
        if self.pass_covariates and self.n_covariates and c is not None:
            h = torch.cat([h, c.expand(*h.shape[:-1], c.shape[-1])], -1)
        return h
