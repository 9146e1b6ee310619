"""What a counterfactual is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from anndata import AnnData

from mixvi._numbers import check_at_least

from .options import check_library_size, choice
from .shifts import ClusterShifts, Reference
from .targets import TargetMixin

__all__ = ["Asked", "Route", "Scale", "check_asked"]

Route = Literal["shift", "prior", "decoder"]
Scale = Literal["rate", "log"]


@dataclass
class Asked:
    """One call of ``predict_counterfactual``, and what it found out.

    Attributes
    ----------
    codes, reference, route, anchor, scale, library_size, n_samples, draw_counts
        Its arguments.
    cells, shifts
        The reference, and shifts by the codes that cells come from, as they are needed.
    seed
        Of the draws of the shifts, which are one for all cells.
    """

    codes: dict[int, int]
    reference: AnnData | None
    route: Route
    anchor: float
    scale: Scale
    library_size: float | Literal["latent"]
    n_samples: int
    draw_counts: bool
    cells: Reference | None = None
    shifts: dict[tuple[int, ...], ClusterShifts] = field(default_factory=dict)
    seed: int = field(default_factory=lambda: int(torch.randint(2**31 - 1, ())))


def check_asked(
    model: TargetMixin,
    codes: dict[int, int],
    route: Route,
    anchor: float,
    scale: Scale,
    library_size: float | Literal["latent"],
    n_samples: int,
    draw_counts: bool,
) -> None:
    """Check the options against each other and the model.

    Raises
    ------
    ValueError
        If an option is not possible.
    """
    choice("route", route, get_args(Route))
    choice("scale", scale, get_args(Scale))
    if route == "prior" and not getattr(model.module.prior, "conditioned", False):
        raise ValueError(
            "expected a model whose components see the covariates for route='prior', found "
            f"{model!r}; make a CGMDVAE with conditioning='full', or use route='shift'"
        )
    if route != "shift" and (key := model._unseen_by_decoder(codes)):
        raise ValueError(
            f"expected a decoder that sees {key!r} for route={route!r}, found a model with "
            "condition_effect='latent'; use route='shift'"
        )
    minified = model.minified_data_type is not None
    if not 0 <= anchor <= 1:
        raise ValueError(f"expected an anchor from 0 to 1, found {anchor}")
    needs = {
        "to anchor the change on": anchor > 0,
        "for scale='log'": scale == "log",
        "to infer the style from": route == "prior" and model.module.prior.n_style > 0,
    }
    if minified and any(needs.values()):
        what = next(name for name, needed in needs.items() if needed)
        raise ValueError(
            f"expected expression {what}, found minified data; use anchor=0, scale='rate' and "
            "route='shift', or the AnnData with counts"
        )
    if not model.module.likelihood.is_count and (draw_counts or scale == "log"):
        what = "draw_counts=True" if draw_counts else "scale='log'"
        raise ValueError(
            f"expected a likelihood of counts for {what}, found "
            f"gene_likelihood={model.module.gene_likelihood!r}; leave it out, expression is on "
            "the scale of the data"
        )
    check_library_size(library_size, latent=True)
    check_at_least(0, n_samples=n_samples)
