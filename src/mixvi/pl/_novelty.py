"""How unlike the training cells the cells are."""

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

from mixvi._keys import Keys, novelty_line
from mixvi.pl._columns import obs_column
from mixvi.pl._scatter import new_axes

__all__ = ["novelty"]

EDGE = 0.002  # share of the cells at either end that one bar takes
COLORS = {"reference": "0.6", "query": "tab:blue", "cells": "tab:blue"}


def novelty(
    adata: AnnData, *, key: str = "cgmdvae", n_bins: int = 50, ax: Axes | None = None
) -> Axes:
    """Draw a histogram of the novelty, with the threshold above which a cell may be new.

    For the cells that a model was trained on that is the line that the stated share of them is
    above: the most unusual ones.

    If reference and query are together (``tl.transfer(..., join=True)``), each has its own
    outline: where the query has a part to the right that the reference lacks, there are cells
    that the reference does not know. The title says how many cells are above the threshold, and
    how many would be by chance.

    Parameters
    ----------
    adata
        Annotated or mapped cells.
    key
        The ``key_added`` of the run.
    n_bins
        Bars over the range of all cells; the outermost take what lies beyond.
    ax
        Axes to draw on; ``None`` makes a figure.

    Returns
    -------
    The axes.

    Raises
    ------
    KeyError
        If there is no novelty.
    """
    keys = Keys(key)
    values = obs_column(adata, keys.novelty).to_numpy(dtype=float)
    run = adata.uns.get(keys.params, {})
    threshold = novelty_line(run)
    if keys.origin in adata.obs:
        origin = adata.obs[keys.origin].astype(str).to_numpy()
        parts = {name: values[origin == name] for name in ("reference", "query")}
    else:
        parts = {"cells": values}
    low, high = np.quantile(values, [EDGE, 1 - EDGE])
    if threshold is not None:
        low, high = min(low, threshold), max(high, threshold)
    edges = np.linspace(low, max(high, low + 1e-9), n_bins + 1)
    ax = new_axes(ax, (5.4, 3.4))
    for name, part in parts.items():
        ax.hist(
            part.clip(edges[0], edges[-1]),
            edges.tolist(),
            weights=np.full(len(part), 1 / max(len(part), 1)),
            color=COLORS[name],
            alpha=0.55 if len(parts) > 1 else 0.9,
            label=f"{name} ({len(part):,})",
        )
    if threshold is not None:
        above = next(reversed(parts.values())) > threshold
        ax.axvline(threshold, color="tab:red", linestyle="--", linewidth=1.2)
        title = f"{above.mean():.1%} may be new"
        if "false_alarm_rate" in run:
            title += f", {run['false_alarm_rate']:.0%} by chance"
        ax.set_title(title, fontsize=10)
    if len(parts) > 1:
        ax.legend(frameon=False, fontsize=8)
    ax.set(xlabel=keys.novelty, ylabel="share of the cells")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
