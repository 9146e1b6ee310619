"""Normalization over the cells of a mini-batch, however few they are."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["BatchNorm"]


class BatchNorm(nn.BatchNorm1d):
    """Batch normalization that takes the running moments where a mini-batch is one cell.

    One cell has no variance; the last mini-batch of an epoch may be no more. The constants are
    scVI's: running moments over about 100 mini-batches.

    Parameters
    ----------
    n_features
        Number of features.
    """

    def __init__(self, n_features: int):
        super().__init__(n_features, momentum=0.01, eps=0.001)

    def forward(self, x: Float[Tensor, "cells H"]) -> Float[Tensor, "cells H"]:
        """Normalize every feature."""
        if self.training and len(x) == 1:
            moments = self.running_mean, self.running_var
            return functional.batch_norm(x, *moments, self.weight, self.bias, eps=self.eps)
        return super().forward(x)
