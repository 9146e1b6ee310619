"""c: everything known about a cell that is not its expression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import SupportsInt

import torch
from jaxtyping import Float
from scvi import REGISTRY_KEYS
from torch import Tensor
from torch.nn import functional

__all__ = ["CONDITION_KEY", "Covariates"]

CONDITION_KEY = "condition"


class Covariates:
    """Registered covariates → the columns of c.

    One-hot columns of the batch, the condition and the other categorical covariates, then the
    continuous ones. A covariate with a single category says nothing and gets no column.

    Parameters
    ----------
    n_batch, n_condition
        Number of batches and of conditions.
    n_cats_per_cov
        Number of categories of every further categorical covariate.
    n_continuous
        Number of continuous covariates.
    """

    def __init__(
        self,
        n_batch: int = 1,
        n_condition: int = 1,
        n_cats_per_cov: Sequence[int] = (),
        n_continuous: int = 0,
    ):
        self.n_batch, self.n_condition = n_batch, n_condition
        self.n_cats_per_cov = tuple(n_cats_per_cov)
        self.n_continuous = n_continuous
        self.sizes = (n_batch, n_condition, *self.n_cats_per_cov)
        self._widths = [size if size > 1 else 0 for size in self.sizes]

    def __len__(self) -> int:
        return sum(self._widths) + self.n_continuous

    def __call__(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, "cells C"]:
        """Return c of a mini-batch as scvi-tools' loaders give it."""
        batch = tensors[REGISTRY_KEYS.BATCH_KEY]
        codes = [batch]
        if self.n_condition > 1:
            codes.append(tensors[CONDITION_KEY])
        else:
            codes.append(torch.zeros_like(batch))
        if self.n_cats_per_cov:
            codes.extend(tensors[REGISTRY_KEYS.CAT_COVS_KEY].split(1, dim=1))
        columns = [
            functional.one_hot(code.flatten().long(), width)
            for code, width in zip(codes, self._widths, strict=True)
            if width
        ]
        if self.n_continuous:
            columns.append(tensors[REGISTRY_KEYS.CONT_COVS_KEY])
        if not columns:
            return torch.zeros(len(batch), 0, device=batch.device)
        return torch.cat([column.float() for column in columns], -1)

    def extends(self, old: Covariates) -> tuple[list[int], dict[int, list[int]]]:
        """Where the columns of fewer categories lie among these.

        Parameters
        ----------
        old
            The same covariates with fewer categories of some.

        Returns
        -------
        Position of every old column, and the positions of the columns of new categories with the
        old columns of the same covariate. (The first category of a covariate that had one category
        had no column; its new column is neither.)
        """
        kept: list[int] = []
        new: dict[int, list[int]] = {}
        start = old_start = 0
        pairs = zip(self.sizes, self._widths, old.sizes, old._widths, strict=True)
        for size, width, old_size, old_width in pairs:
            kept += range(start, start + old_width)
            siblings = list(range(old_start, old_start + old_width))
            if width:
                new |= {start + code: siblings for code in range(old_size, size)}
            start, old_start = start + width, old_start + old_width
        return [*kept, *range(start, start + self.n_continuous)], new

    def with_batch(
        self, c: Float[Tensor, "cells C"], batch: SupportsInt
    ) -> Float[Tensor, "cells C"]:
        """C with every cell moved to one batch (its code)."""
        return self.with_category(c, 0, int(batch))

    def with_condition(self, c: Float[Tensor, "cells C"], condition: int) -> Tensor:
        """C with every cell moved to one condition (its code)."""
        return self.with_category(c, 1, condition)

    def with_category(
        self, c: Float[Tensor, "cells C"], covariate: int, code: int
    ) -> Float[Tensor, "cells C"]:
        """C with every cell moved to one category of a covariate.

        Parameters
        ----------
        c
            Covariates.
        covariate
            0 for the batch, 1 for the condition, 2, … for the further categorical covariates.
        code
            Code of the category.
        """
        start, width = sum(self._widths[:covariate]), self._widths[covariate]
        if not width:
            return c
        c = c.clone()
        c[..., start : start + width] = 0
        c[..., start + code] = 1
        return c
