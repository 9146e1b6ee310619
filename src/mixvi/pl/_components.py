"""The components of the mixture on an embedding."""

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke

from mixvi._keys import Keys
from mixvi.pl._columns import MISSING, categories, color_of, obs_column, probabilities, stored_run
from mixvi.pl._scatter import (
    LOOK,
    bare,
    category_colors,
    embedding,
    new_axes,
    point_size,
    shuffled,
    write_names,
)

__all__ = ["components"]

FAINTEST = 0.15


def components(
    adata: AnnData,
    *,
    key: str = "cgmdvae",
    basis: str = "X_umap",
    n_sd: float = 2.0,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the cells, the fainter the less sure, and an ellipse for every component.

    The ellipse of component :math:`k` is where its cells lie on the embedding: its center and its
    axes are those of the covariance weighted by the responsibilities,

    .. math:: m_k = \frac{\sum_n q_{nk} e_n}{\sum_n q_{nk}}, \quad
              S_k = \frac{\sum_n q_{nk} (e_n - m_k)(e_n - m_k)^\top}{\sum_n q_{nk}},

    with half axes of ``n_sd`` standard deviations. Components of one cluster share its color.
    Components with less than one cell in all are left out.

    Parameters
    ----------
    adata
        Annotated cells.
    key
        The ``key_added`` of the model's run.
    basis
        Key of ``obsm``, cells × 2. With a UMAP ellipses are a rough summary, as it bends space.
    n_sd
        Half axes in standard deviations: 2 hold 86 % of a normal component.
    ax
        Axes to draw on; ``None`` makes a figure.

    Returns
    -------
    The axes.

    Raises
    ------
    KeyError
        If the run, or the embedding, is missing.
    ValueError
        If the embedding has fewer than two dimensions.
    """
    points = embedding(adata, basis).astype(float)
    clusters = categories(adata, key)
    confidence = obs_column(adata, Keys(key).confidence).to_numpy(dtype=float)
    probs, owners = _responsibilities(adata, key)
    ax = new_axes(ax)
    of = color_of(adata, key)
    order = shuffled(adata.n_obs)
    x, y = points[order].T
    ax.scatter(
        x,
        y,
        c=list(category_colors(clusters, list(of.values()))[order]),
        s=point_size(adata.n_obs),
        alpha=np.clip(confidence[order], FAINTEST, 1),
        **LOOK,
    )
    for name, owner in zip(probs.columns, owners, strict=True):
        q = probs[name].to_numpy(dtype=float)
        if q.sum() >= 1:
            ax.add_patch(_ellipse(points, q, n_sd, of.get(owner, MISSING)))
    write_names(ax, points, clusters)
    bare(ax, basis)
    ax.set_title(f"{len(ax.patches)} components of {len(of)} clusters ({key})", fontsize=10)
    return ax


def _responsibilities(adata: AnnData, key: str) -> tuple[pd.DataFrame, list[str]]:
    """Responsibilities of the components, and the cluster of each."""
    name = Keys(key).component_probs
    if name not in adata.obsm:
        probs = probabilities(adata, key)
        return probs, list(probs.columns)
    run = stored_run(adata, key, "cluster_of_component")
    return adata.obsm[name], [str(owner) for owner in run["cluster_of_component"]]


def _ellipse(points: np.ndarray, q: np.ndarray, n_sd: float, shade: str) -> Ellipse:
    center = q @ points / q.sum()
    away = points - center
    values, axes = np.linalg.eigh((q * away.T) @ away / q.sum())
    width, height = 2 * n_sd * np.sqrt(np.maximum(values, 0))
    angle = float(np.degrees(np.arctan2(axes[1, 0], axes[0, 0])))
    return Ellipse(
        (float(center[0]), float(center[1])),
        width,
        height,
        angle=angle,
        facecolor="none",
        edgecolor=shade,
        linewidth=1.6,
        path_effects=[withStroke(linewidth=3.4, foreground="white")],  # its cells have its color
        zorder=2,
    )
