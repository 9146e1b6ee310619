"""Normalization over the cells of a mini-batch, however few they are and wherever they lie."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from .ranks import n_ranks, sum_over_ranks

__all__ = ["BatchNorm"]


class BatchNorm(nn.BatchNorm1d):
    """Batch normalization that takes the running moments where a mini-batch is one cell.

    One cell has no variance; the last mini-batch of an epoch may be no more. Where several
    processes train together the moments are those of all their cells. The constants are scVI's:
    running moments over about 100 mini-batches.

    Parameters
    ----------
    n_features
        Number of features.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, n_features: int):
        super().__init__(n_features, momentum=0.01, eps=0.001)

    def forward(self, x: Float[Tensor, "cells H"]) -> Float[Tensor, "cells H"]:
        """Normalize every feature."""
        if self.training and n_ranks() > 1:
            return self._over_ranks(x)
        if self.training and len(x) == 1:
            moments = self.running_mean, self.running_var
            return functional.batch_norm(x, *moments, self.weight, self.bias, eps=self.eps)
        return super().forward(x)

    def folded(self) -> tuple[Float[Tensor, " H"], Float[Tensor, " H"]]:
        r"""(a, b) of the trained layer a x + b, to be folded into what comes before.

        .. math:: a = \gamma / \sqrt{\hat v + \epsilon}, \quad b = \beta - a \hat m
        """
        scale = (self.running_var + self.eps).rsqrt() * self.weight
        return scale, self.bias - scale * self.running_mean

    def _over_ranks(self, x: Float[Tensor, "cells H"]) -> Float[Tensor, "cells H"]:
        """The same with the moments of all processes' cells."""
        sums = sum_over_ranks(torch.cat([x.sum(0), x.new_tensor([len(x)])]))
        n = sums[-1].detach()
        centered = x - sums[:-1] / n
        variance = sum_over_ranks(centered.square().sum(0)) / n
        with torch.no_grad():
            step = 0.01 if self.momentum is None else self.momentum
            self.running_mean.lerp_((sums[:-1] / n).detach(), step)
            self.running_var.lerp_(variance.detach() * n / (n - 1), step)
            self.num_batches_tracked += 1
        return centered * (variance + self.eps).rsqrt() * self.weight + self.bias
