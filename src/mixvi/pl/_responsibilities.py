"""Every cell as a strip of its probabilities."""

from itertools import pairwise

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from mixvi.pl._columns import categories, colors, legend, probabilities
from mixvi.pl._scatter import new_axes

__all__ = ["responsibilities"]

HEIGHT = 200  # pixels of a strip


def responsibilities(
    adata: AnnData, *, key: str = "cgmdvae", max_cells: int = 600, ax: Axes | None = None
) -> Axes:
    """Draw the probabilities of the clusters, one thin column per cell.

    A column is divided like the cell's probability. Cells stand by cluster, within it the surest
    first, so that a block of one color is a cluster without doubts, and a block that frays shares
    cells with the color that comes in.

    Parameters
    ----------
    adata
        Annotated cells.
    key
        The ``key_added`` of the model's run.
    max_cells
        Of more cells, so many are drawn, evenly picked in the order above.
    ax
        Axes to draw on; ``None`` makes a figure.

    Returns
    -------
    The axes.

    Raises
    ------
    KeyError
        If the probabilities are missing.
    """
    probs = probabilities(adata, key)
    column = categories(adata, key)
    names = list(column.cat.categories)
    values = probs.reindex(columns=names, fill_value=0).to_numpy(dtype=float)
    order = np.lexsort((-values.max(1), column.cat.codes.to_numpy()))
    if len(order) > max_cells:
        order = order[np.linspace(0, len(order) - 1, max_cells).round().astype(int)]
    codes = column.cat.codes.to_numpy()[order]
    # the cell's own cluster at the bottom, the others in their order above it
    place = np.arange(len(names))[None] + len(names) * (np.arange(len(names)) != codes[:, None])
    stack = np.argsort(place, axis=1)
    edges = np.take_along_axis(values[order], stack, 1).cumsum(1)
    levels = (np.arange(HEIGHT) + 0.5) / HEIGHT
    part = (levels[:, None, None] > edges[None]).sum(2).clip(max=len(names) - 1)
    shades = colors(adata, key, len(names))
    rgb = np.array([to_rgb(shade) for shade in shades])
    image = rgb[np.take_along_axis(stack.T, part, 0)]
    ax = new_axes(ax, (8.5, 2.4))
    ax.imshow(image, origin="lower", aspect="auto", extent=(0, len(order), 0, 1))
    starts = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
    for start, stop in pairwise(starts.tolist()):
        ax.axvline(start, color="white", linewidth=1)
        if stop - start >= 0.025 * len(order):
            ax.text((start + stop) / 2, -0.04, names[codes[start]], ha="center", va="top", size=8)
    ax.set(xticks=[], yticks=[0, 0.5, 1], ylabel="probability")
    ax.set_xlabel(f"{len(order):,} of {adata.n_obs:,} cells by cluster", labelpad=16)
    legend(ax, column, shades, key)
    ax.spines[:].set_visible(False)
    return ax
