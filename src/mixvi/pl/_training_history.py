"""The training, term by term."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from matplotlib.figure import Figure

from mixvi.pl._columns import stored_run

__all__ = ["training_history"]

TERMS = {
    "elbo": "negative ELBO",
    "reconstruction_loss": "reconstruction",
    "kl_z": "KL of z",
    "kl_w": "KL of w",
    "kl_y": "KL of y",
    "kl_d": "KL of the weights",
    "classification_loss": "labels",
}
MODES = {"train": ("training", "tab:blue"), "validation": ("held out", "tab:orange")}
SKIPPED = 0.05  # of the epochs, at the start, that the range of an axis leaves out


def training_history(source: AnnData | Any, *, key: str = "cgmdvae") -> Figure:
    """Draw the negative ELBO and each of its terms over the epochs.

    One panel per term that a run logged, per cell, for the training cells and for the held-out
    ones. The gray phase is the one under N(0, I), before the mixture began: a jump at its end is
    no fault, as the objective changes there. The very first epochs may lie outside the axes.

    Parameters
    ----------
    source
        Annotated cells, or a trained model.
    key
        The ``key_added`` of the run, for annotated cells.

    Returns
    -------
    The figure.

    Raises
    ------
    KeyError
        If no training is stored.
    """
    history = _curves(source, key)
    terms = [term for term in TERMS if any(f"{term}_{mode}" in history for mode in MODES)]
    if not terms:
        raise KeyError(
            "expected the training curves of a model, found none of them; train the model first"
        )
    n = max(map(len, history.values()))
    y = history.get("kl_y_train", np.array([]))
    begins = int(np.flatnonzero(np.isfinite(y))[0]) if np.isfinite(y).any() else 0
    n_columns = min(3, len(terms))
    n_rows = -(-len(terms) // n_columns)
    size = (3.5 * n_columns, 2.5 * n_rows)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=size, sharex=True, layout="constrained", squeeze=False
    )
    for axis in axes.flat[len(terms) :]:
        axis.set_axis_off()
    for axis, term in zip(axes.flat, terms, strict=False):
        if begins:
            axis.axvspan(0, begins, color="0.93", zorder=0)
        late = []
        for mode, (name, color) in MODES.items():
            if (values := history.get(f"{term}_{mode}")) is None:
                continue
            axis.plot(np.arange(n - len(values), n), values, color=color, label=name, linewidth=1.3)
            late.append(values[round(SKIPPED * len(values)) :])
        shown = np.concatenate(late)
        low, high = np.nanmin(shown), np.nanmax(shown)
        margin = 0.05 * (high - low) or 1e-3
        axis.set(title=TERMS[term], ylim=(low - margin, high + margin))
        axis.spines[["top", "right"]].set_visible(False)
    axes.flat[0].legend(frameon=False, fontsize=8)
    axes.flat[0].set_ylabel("nats per cell")
    for axis in axes[-1]:
        axis.set_xlabel("epoch")
    return figure


def _curves(source: Any, key: str) -> dict[str, np.ndarray]:
    """Values per epoch by name, as long as they were logged."""
    if isinstance(source, AnnData):
        history: Mapping[str, Any] = stored_run(source, key, "history")["history"]
    else:
        history = getattr(source, "history", None) or {}
    return {name: np.asarray(values, dtype=float).ravel() for name, values in history.items()}
