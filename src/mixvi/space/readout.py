"""A fitted linear map from the latent space to places, with error bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

__all__ = ["Readout"]


@dataclass(frozen=True)
class Readout:
    r"""A linear map from z to a place, and what is known about its errors.

    The place of a cell is :math:`\hat y(z) = B^\top z + b`. Its error bar comes from the F
    read-outs :math:`\hat y_f` that were fitted without one group of cells each, and from their
    errors :math:`r_i = y_i - \hat y_f(z_i)` on the cells of that group: the root mean square of

    .. math:: \hat y_f(z) + r_i - \hat y(z)

    over the groups f, each with the same weight, and over the cells i of f. It grows where groups
    disagree about the cell, for instance far from all cells that were measured. This is the second
    moment of what cross-conformal prediction :cite:p:`barber2021` takes quantiles of; it is an
    honest error for a further group that is like the others.

    Attributes
    ----------
    coef, intercept
        B and b, shapes (p, D) and (D,).
    group_coef, group_intercept
        The same of the read-outs without one group, shapes (F, p, D) and (F, D).
    residual_mean, residual_square
        Mean of r and of r² over the cells of the group left out, shapes (F, D).
    """

    coef: np.ndarray
    intercept: np.ndarray
    group_coef: np.ndarray
    group_intercept: np.ndarray
    residual_mean: np.ndarray
    residual_square: np.ndarray

    def predict(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Place of each cell and its standard error, shapes (n, D).

        Parameters
        ----------
        z
            Latent representation, shape (n, p), of the model that the read-out was fitted to.

        Raises
        ------
        ValueError
            If z does not have p dimensions.
        """
        z = np.asarray(z, dtype=np.float64)
        if z.ndim != 2 or z.shape[1] != len(self.coef):
            raise ValueError(
                f"expected cells × {len(self.coef)} dimensions, found shape {z.shape}; pass the "
                "latent representation of the model that the read-out was fitted to"
            )
        places = z @ self.coef + self.intercept
        square = np.zeros_like(places)
        parts = zip(
            self.group_coef,
            self.group_intercept,
            self.residual_mean,
            self.residual_square,
            strict=True,
        )
        for coef, intercept, mean, second in parts:
            shift = z @ coef + intercept - places
            square += shift**2 + 2 * shift * mean + second
        return places, np.sqrt(np.maximum(square, 0) / len(self.group_coef))

    def to_dict(self) -> dict[str, np.ndarray]:
        """Arrays by name, as :mod:`anndata` stores them in ``uns``."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, np.ndarray]) -> Readout:
        """Make a read-out of what :meth:`to_dict` gave."""
        return cls(**{field.name: np.asarray(stored[field.name]) for field in fields(cls)})

    def __repr__(self) -> str:
        p, d = self.coef.shape
        return f"Readout({p} dimensions → {d} coordinates, {len(self.group_coef)} groups)"
