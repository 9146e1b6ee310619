"""Which run is in an AnnData, and what it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from mixvi._keys import Keys, novelty_line

__all__ = ["Run", "find_run", "text"]

SHOWN_FIRST = (
    "n_components", "n_latent", "n_style", "gene_likelihood", "conditioning", "covariance",
    "dirichlet", "repulsion", "encoder",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What a run wrote into ``uns``.

    Attributes
    ----------
    keys
        Names of everything that it wrote.
    stored
        ``uns[keys.params]``; runs of older versions lack some of it.
    """

    keys: Keys
    stored: Mapping[str, Any]

    @property
    def model(self) -> str:
        """Class of the model."""
        return str(self.stored.get("model", "mixture model"))

    @property
    def is_map(self) -> bool:
        """Whether labels came from a reference."""
        return "mode" in self.stored

    @property
    def setup(self) -> dict[str, Any]:
        """Columns and layer that the model was given."""
        return dict(self.stored.get("setup", {}))

    @property
    def params(self) -> dict[str, str]:
        """Parameters of the model as text, those that matter most first."""
        params = dict(self.stored.get("params", {}))
        order = [name for name in SHOWN_FIRST if name in params]
        return {
            name: text(params[name]) for name in [*order, *(k for k in params if k not in order)]
        }

    @property
    def counts(self) -> bool:
        """Whether the model is one of counts."""
        likelihood = str(dict(self.stored.get("params", {})).get("gene_likelihood", "nb"))
        return likelihood in ("nb", "zinb", "poisson")

    @property
    def novelty_threshold(self) -> float | None:
        """Novelty above which a cell may be new."""
        return novelty_line(self.stored)

    @property
    def false_alarm_rate(self) -> float:
        """Share of known cells that is above it."""
        return float(self.stored.get("false_alarm_rate", np.nan))

    @property
    def date(self) -> str:
        """When it ended, for people."""
        date = pd.to_datetime(str(self.stored.get("date", "")), errors="coerce")
        return "" if pd.isna(date) else f"{date.day} {date:%B %Y, %H:%M} UTC"

    def key_of(self, role: str) -> str | None:
        """Column of ``obs`` that was the ``batch``, the ``condition`` or the ``labels``."""
        column = self.setup.get(f"{role}_key")
        return None if column is None else str(column)


def find_run(adata: AnnData, key: str | None = None) -> Run:
    """Find a run of mixvi: the one of that name, or the latest.

    Parameters
    ----------
    adata
        Annotated cells.
    key
        The ``key_added`` of the run.

    Raises
    ------
    KeyError
        If there is none.
    """
    found = {
        name: Run(Keys(name), stored)
        for name, stored in adata.uns.items()
        if isinstance(stored, Mapping)
        and {Keys(name).cluster, Keys(name).confidence} <= set(adata.obs)
    }
    if key is None and found:
        key = max(found, key=lambda name: str(found[name].stored.get("date", "")))
    if key not in found:
        names = ", ".join(map(repr, found)) or "none"
        raise KeyError(
            f"expected a run of mixvi {'' if key is None else repr(key) + ' '}in adata.uns and "
            f"adata.obs, found {names}; run mixvi.tl.cgmdvae or `mixvi cluster` first, or pass "
            "its key"
        )
    return found[key]


def text(value: Any) -> str:
    """A value of ``uns`` as people write it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(map(text, value))
    return str(value)
