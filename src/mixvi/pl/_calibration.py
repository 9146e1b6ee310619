"""Reliability diagram: stated confidence against being right."""

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from mixvi._keys import Keys
from mixvi.metrics import expected_calibration_error
from mixvi.metrics.calibration import confidence_bins, matched_cells
from mixvi.pl._columns import obs_column

__all__ = ["calibration"]


def calibration(
    adata: AnnData,
    *,
    key: str = "cgmdvae",
    label_key: str,
    n_bins: int = 10,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often cells of a stated confidence are right: a reliability diagram.

    A cell is right if its label is the one its cluster is matched to
    (:func:`mixvi.metrics.matched_calibration`, the error in the title). Each point is the cells
    of one bin of confidence, at their mean confidence and the share that is right; its area grows
    with their number, which stands beside it, and the line through it is the 95% interval of the
    share. On the diagonal the confidence can be taken at its word; below, it is too sure.

    Parameters
    ----------
    adata
        Annotated data with ``obs[key]`` and ``obs[f"{key}_confidence"]``.
    key
        The ``key_added`` of the model's run.
    label_key
        Column of ``obs`` with the labels. Cells without a label are left out.
    n_bins
        Bins of equal width from 0 to 1. Many show the shape, if there are cells enough.
    ax
        Axes to draw on; ``None`` makes a figure.

    Returns
    -------
    The axes.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If no cell has a label, or ``n_bins`` is below 1.
    """
    labels, clusters = obs_column(adata, label_key), obs_column(adata, key)
    confidence, right = matched_cells(labels, clusters, obs_column(adata, Keys(key).confidence))
    error = expected_calibration_error(confidence, right, n_bins)

    bins = confidence_bins(confidence, n_bins)
    occupied, counts = np.unique(bins, return_counts=True)
    stated = np.bincount(bins, confidence)[occupied] / counts
    found = np.bincount(bins, right)[occupied] / counts
    if ax is None:
        _, ax = plt.subplots(figsize=(4.4, 4.6), layout="constrained")
    ax.plot([0, 1], [0, 1], color="gray", linestyle="--", linewidth=1)
    ax.vlines(stated, *_interval(found, counts), color="tab:blue", linewidth=1.5)
    ax.plot(stated, found, color="tab:blue", linewidth=1, alpha=0.5)
    area = 15 + 285 * counts / counts.max()
    ax.scatter(stated, found, s=area, color="tab:blue", edgecolor="white", zorder=3, clip_on=False)
    for x, y, n, beside in zip(stated, found, counts, np.sqrt(area / np.pi) + 3, strict=True):
        # bins may be close: a number needs less room than words, and outshines what is behind it
        text = ax.annotate(
            f"{n:,}", (x, y), (beside, 6), textcoords="offset points", va="center", fontsize=7
        )
        text.set_path_effects([withStroke(linewidth=2, foreground="white")])
    ax.text(0.02, 1, "too cautious", color="gray", va="top")
    ax.text(1, 0, "too sure", color="gray", ha="right")
    ax.set(
        xlim=(0, 1.05),
        ylim=(-0.03, 1.05),
        xlabel=f"confidence ({key}); numbers: cells",
        ylabel=f"share that matches {label_key}",
        title=f"calibration error (ECE) {error:.3f}, n = {len(right):,}",
        aspect="equal",
    )
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _interval(share: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95% interval of a binomial share."""
    z = 1.96
    center = (share + z**2 / (2 * counts)) / (1 + z**2 / counts)
    half = np.sqrt(share * (1 - share) / counts + (z / (2 * counts)) ** 2)
    half = half * z / (1 + z**2 / counts)
    return center - half, center + half
