"""Predicted against observed mean expression."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from mixvi.metrics import perturbation_scores

__all__ = ["perturbation"]


def perturbation(
    predicted: ArrayLike,
    observed: ArrayLike,
    control: ArrayLike,
    *,
    var_names: ArrayLike,
    n_top: int = 10,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw predicted against observed mean expression, the genes that change most by name.

    One dot per gene. The :math:`n` genes with the largest :math:`|o_g - c_g|` are named, and a thin
    line leads to each of them from where predicting no change would have put it. The title has the
    squared correlation of the means, which is high for predicting nothing, and R² of the change
    (:func:`mixvi.metrics.perturbation_scores`).

    Parameters
    ----------
    predicted, observed, control
        Mean expression of every gene as predicted, as observed under the perturbation, and without
        it, (genes,); on a log scale.
    var_names
        Names of the genes.
    n_top
        Number of genes named.
    ax
        Axes to draw on; ``None`` makes a figure.

    Returns
    -------
    The axes.

    Raises
    ------
    ValueError
        If lengths differ or a value is not finite.
    """
    scores = perturbation_scores(predicted, observed, control)
    p, o, c = (np.asarray(values, dtype=float) for values in (predicted, observed, control))
    names = np.asarray(var_names).astype(str)
    if names.shape != p.shape:
        raise ValueError(
            f"expected one name for each of the {len(p)} genes in `var_names`, found shape "
            f"{names.shape}"
        )
    if ax is None:
        _, ax = plt.subplots(figsize=(4.6, 4.4), layout="constrained")
    top = np.argsort(-np.abs(o - c), kind="stable")[:n_top]
    limit = 1.05 * max(p.max(), o.max())
    ax.plot([0, limit], [0, limit], color="0.7", linewidth=1, zorder=0)
    ax.scatter(o, p, s=6, color="0.55", linewidths=0, rasterized=True)
    ax.vlines(o[top], c[top], p[top], color="tab:red", linewidth=0.6, alpha=0.6)
    ax.scatter(o[top], p[top], s=16, color="tab:red", linewidths=0)
    heights = _apart(p[top], 0.045 * limit)
    for gene, height in zip(top, heights, strict=True):
        ax.annotate(
            names[gene],
            (o[gene], p[gene]),
            xytext=(1.08 * limit, height),
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.5},
        )
    ax.set_xlim(right=1.3 * limit)
    ax.set(xlabel="observed mean", ylabel="predicted mean")
    ax.set_title(
        f"R² of means {scores['r2_pearson']:.3f}, of the change {scores['delta_r2']:.3f}",
        fontsize=10,
    )
    return ax


def _apart(heights: np.ndarray, gap: float) -> np.ndarray:
    """Heights in the same order, moved up as far as labels need not to touch."""
    order = np.argsort(heights, kind="stable")
    steps = gap * np.arange(len(heights))
    moved = np.maximum.accumulate(heights[order] - steps) + steps
    result = np.empty_like(heights)
    result[order] = moved - (moved - heights[order]).mean()
    return result
