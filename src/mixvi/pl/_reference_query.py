"""Query cells on their reference."""

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

from mixvi._keys import Keys
from mixvi.pl._columns import MISSING, categories, color_of, legend, obs_column
from mixvi.pl._scatter import LOOK, bare, category_colors, embedding, new_axes, point_size, shuffled

__all__ = ["reference_query"]


def reference_query(
    adata: AnnData,
    *,
    key: str,
    color: str | None = None,
    basis: str = "X_umap",
    ax: Axes | None = None,
) -> Axes:
    """Draw the query in color on the reference in gray; cells that may be new have a dark ring.

    Parameters
    ----------
    adata
        Reference and query together, as ``tl.transfer(..., join=True)`` returns them, with an
        embedding of both (for a UMAP: ``sc.pp.neighbors(adata, use_rep="X_{key}")``).
    key
        The ``key_added`` of the mapping.
    color
        Column of ``obs`` with categories; by default the label that was given.
    basis
        Key of ``obsm``.
    ax
        Axes to draw on; ``None`` makes a figure.

    Returns
    -------
    The axes.

    Raises
    ------
    KeyError
        If the mapping, the column or the embedding is missing.
    """
    keys = Keys(key)
    points = embedding(adata, basis)
    is_query = obs_column(adata, keys.origin).astype(str).to_numpy() == "query"
    color = key if color is None else color
    column = categories(adata, color)
    novel = np.zeros(adata.n_obs, dtype=bool)
    if keys.novel in adata.obs:
        novel = adata.obs[keys.novel].to_numpy(dtype=bool) & is_query
    of = color_of(adata, color)
    ax = new_axes(ax, (6.2, 4.6))
    order = shuffled(adata.n_obs)
    size = point_size(adata.n_obs)
    behind, front = order[~is_query[order]], order[is_query[order]]
    x, y = points.T
    ax.scatter(x[behind], y[behind], c=MISSING, s=size, **LOOK)
    shown_colors = list(category_colors(column, list(of.values()))[front])
    ax.scatter(x[front], y[front], c=shown_colors, s=size, **LOOK)
    ringed = front[novel[front]]
    ax.scatter(
        x[ringed],
        y[ringed],
        s=2.2 * size,
        facecolors="none",
        edgecolors="black",
        linewidths=0.7,
        rasterized=True,
    )
    shown = column[is_query].cat.remove_unused_categories()
    legend(ax, shown, [of[name] for name in shown.cat.categories], color)
    n, k = int(is_query.sum()), len(ringed)
    ax.set_title(f"{n:,} query cells on {len(behind):,}; {k:,} may be new (ringed)", fontsize=10)
    bare(ax, basis)
    return ax
