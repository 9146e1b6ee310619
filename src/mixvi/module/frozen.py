"""New categories in a trained module, and a training that moves nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from scvi.module.base import BaseMinifiedModeModuleClass
from torch import Tensor, nn

from .covariates import Covariates

__all__ = ["FrozenMixin", "extend_covariates"]


class FrozenMixin(BaseMinifiedModeModuleClass):
    """A module of which only the columns of new covariate categories are trained.

    A cell of an old category has a zero in every new column, so nothing that is learned there can
    reach it.
    """

    frozen: bool = False

    def freeze_(self, names: Sequence[str], columns: Sequence[int], n_covariates: int) -> int:
        """Leave only some columns of some weights to train, in place.

        Parameters
        ----------
        names
            Names of the weights whose last columns belong to the covariates.
        columns
            Positions, among the covariates, of what is trained.
        n_covariates
            Number of covariate columns.

        Returns
        -------
        Number of values that are left to train.
        """
        self.frozen = True
        n_free = 0
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name in names and len(columns) > 0)
            if parameter.requires_grad:
                mask = torch.zeros_like(parameter)
                first = parameter.shape[-1] - n_covariates
                mask[..., [first + column for column in columns]] = 1
                n_free += int(mask.sum())
                parameter.register_hook(mask.mul)
        self.eval()
        return n_free

    def train(self, mode: bool = True) -> Any:
        """Training mode, but for a frozen module: running moments and shares stay, too."""
        return super().train(mode and not self.frozen)


@torch.no_grad()
def extend_covariates(
    state: dict[str, Tensor], old: Covariates, module: nn.Module, new: Covariates
) -> list[str]:
    """Load the weights of a module with fewer covariate categories, column by column.

    The weights of a new category start at the mean of its covariate's old categories.

    Parameters
    ----------
    state, old
        Weights of the trained module, and its covariates.
    module, new
        The same module with columns for more categories, changed in place, and its covariates.

    Returns
    -------
    Names of the weights with covariate columns, where there are more of these than before.
    """
    kept, added = new.extends(old)
    target = module.state_dict()
    result, grown = dict(target), []
    for name, fresh in target.items():
        before = state.get(name)
        if before is not None and before.shape == fresh.shape:
            result[name] = before
        elif before is not None or name.endswith("covariate_weight"):
            n_rest = fresh.shape[-1] - len(new)
            value = torch.zeros_like(fresh)
            if before is not None:
                value[..., :n_rest] = before[..., :n_rest]
                columns = before[..., n_rest:]
                value[..., [n_rest + position for position in kept]] = columns
                for position, siblings in added.items():
                    if siblings:
                        value[..., n_rest + position] = columns[..., siblings].mean(-1)
            result[name] = value
            grown.append(name)
    module.load_state_dict(result)
    return grown
