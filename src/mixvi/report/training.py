"""The training of a report: curves, and whether it had settled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixvi.pl._training_history import TERMS

from .run import Run

__all__ = ["Training", "describe_training"]

WINDOW = 0.1  # share of the epochs that medians are over
SETTLED = 0.02  # share of all that was gained, that the end may still gain
FEWEST = 5  # epochs


@dataclass(frozen=True)
class Training:
    """Curves over the epochs.

    Attributes
    ----------
    n_epochs, max_epochs
        How long it ran, and how long it was meant to.
    mixture_from
        First epoch with the mixture; before, the latent space takes shape.
    elbo
        Negative ELBO per cell, ``"training"`` and ``"held out"``.
    terms
        Parts of it on held-out cells (or in training, where none were held out).
    still_falling
        Share of all that was gained that came at the very end; NaN where that cannot be told.
    """

    n_epochs: int
    max_epochs: int
    mixture_from: int
    elbo: dict[str, np.ndarray]
    terms: dict[str, np.ndarray]
    still_falling: float

    @property
    def settled(self) -> bool | None:
        """Whether more epochs would change little; ``None`` where that cannot be told."""
        return None if np.isnan(self.still_falling) else self.still_falling <= SETTLED


def describe_training(run: Run) -> Training | None:
    """Read the curves of a run; ``None`` if none are stored.

    Parameters
    ----------
    run
        The run.
    """
    history = {
        name: np.asarray(v, dtype=float) for name, v in run.stored.get("history", {}).items()
    }
    elbo = {
        shown: history[f"elbo_{mode}"]
        for mode, shown in {"train": "training", "validation": "held out"}.items()
        if f"elbo_{mode}" in history
    }
    if not elbo:
        return None
    mode = "validation" if "held out" in elbo else "train"
    curve = elbo.get("held out", elbo.get("training"))
    assert curve is not None  # for the type checker
    begins = np.flatnonzero(np.isfinite(history.get(f"kl_y_{mode}", np.array([]))))
    mixture_from = int(begins[0]) if len(begins) else 0
    terms = {
        shown: history[f"{name}_{mode}"]
        for name, shown in TERMS.items()
        if name != "elbo" and f"{name}_{mode}" in history
    }
    n_epochs = len(curve)
    return Training(
        n_epochs=n_epochs,
        max_epochs=int(run.stored.get("max_epochs", n_epochs)),
        mixture_from=mixture_from,
        elbo=elbo,
        terms={name: v for name, v in terms.items() if np.nanmax(np.abs(v), initial=0) > 1e-3},
        still_falling=_last_gain(curve[np.isfinite(curve)]),
    )


def _last_gain(curve: np.ndarray) -> float:
    """How much was still gained at the end.

    Of all that the run gained, the share from the middle of the two tenths before the last to that
    of the last. Medians are compared, so that a single epoch says nothing.
    """
    if len(curve) < FEWEST:
        return np.nan
    n = max(int(WINDOW * len(curve)), 1)
    first, before, last = curve[0], np.median(curve[-3 * n : -n]), np.median(curve[-n:])
    gained = first - min(before, last)
    return float((before - last) / gained) if gained > 0 else np.nan
