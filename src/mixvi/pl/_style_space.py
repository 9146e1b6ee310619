"""The style space: what all components share."""

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from mixvi._keys import Keys
from mixvi.pl._columns import categories, colors, legend, obs_column
from mixvi.pl._scatter import LOOK, category_colors, new_axes, point_size, shuffled

__all__ = ["style_space"]

UNUSED = 0.01  # variance of a posterior mean


def style_space(
    adata: AnnData,
    *,
    key: str = "cgmdvae",
    color: str | None = None,
    dims: tuple[int, int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the cells by their style, the mean of q(w | x).

    Clusters should look alike here, conditions or other common variation may not. The circles are
    one and two standard deviations of N(0, I), the prior of w unless it was learned. A dimension
    whose mean hardly varies (below .01) is one that the model does not use; the axis says so.

    Parameters
    ----------
    adata
        Annotated cells with ``obsm["X_{key}_w"]``.
    key
        The ``key_added`` of the model's run.
    color
        Column of ``obs``, categories or numbers; by default the clusters.
    dims
        The two dimensions, counted from 0; by default those that vary most.
    ax
        Axes to draw on; ``None`` makes a figure.

    Returns
    -------
    The axes.

    Raises
    ------
    KeyError
        If there is no style, or no such column.
    ValueError
        If there are no two such dimensions.
    """
    name = Keys(key).style
    if name not in adata.obsm:
        found = ", ".join(repr(str(other)) for other in adata.obsm) or "none"
        raise KeyError(
            f"expected the style {name!r} in adata.obsm, found {found}; fit a model with "
            "n_style > 0 first"
        )
    w = np.asarray(adata.obsm[name], dtype=float)
    variance = w.var(0)
    if dims is None:
        dims = tuple(np.sort(np.argsort(-variance, kind="stable")[:2]).tolist())
    if len(dims) != 2 or max(dims) >= w.shape[1]:
        raise ValueError(
            f"expected two of the {w.shape[1]} dimensions of the style, found {dims}; a style of "
            "one dimension can be drawn as a histogram of the column"
        )
    color = key if color is None else color
    values = obs_column(adata, color)
    ax = new_axes(ax)
    for radius in (1, 2):
        ax.add_patch(Circle((0, 0), radius, fill=False, color="0.75", linewidth=0.8, zorder=0))
    order = shuffled(adata.n_obs)
    x, y = w[order][:, list(dims)].T
    look = {"s": point_size(adata.n_obs), **LOOK}
    if pd.api.types.is_numeric_dtype(values):
        drawn = ax.scatter(x, y, c=values.to_numpy(dtype=float)[order], cmap="viridis", **look)
        ax.figure.colorbar(drawn, ax=ax, shrink=0.7, label=color)
    else:
        column = categories(adata, color)
        shades = colors(adata, color, len(column.cat.categories))
        ax.scatter(x, y, c=list(category_colors(column, shades)[order]), **look)
        legend(ax, column, shades, color)
    named = [f"w {d + 1}{'' if variance[d] > UNUSED else ' (not used)'}" for d in dims]
    ax.set(xlabel=named[0], ylabel=named[1])
    ax.set_aspect("equal", adjustable="datalim")
    ax.autoscale_view()
    ax.spines[["top", "right"]].set_visible(False)
    return ax
