"""How many cells every component has."""

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

from mixvi._keys import Keys
from mixvi.pl._columns import MISSING, categories, color_of, stored_run
from mixvi.pl._scatter import new_axes

__all__ = ["component_sizes"]

UNUSED = 0.1  # of an equal share


def component_sizes(adata: AnnData, *, key: str = "cgmdvae", ax: Axes | None = None) -> Axes:
    r"""Draw the share of the cells that every component takes, by cluster.

    The bar is the expected share :math:`\sum_n q(y{=}k|x_n) / N`, the tick the share of the cells
    that are put there, as their most probable component: where the two differ, cells are divided.
    The dashed line is an equal share, 1/K. A component with less than a tenth of that is unused.

    Parameters
    ----------
    adata
        Annotated cells.
    key
        The ``key_added`` of the model's run.
    ax
        Axes to draw on; ``None`` makes a figure of a size that fits.

    Returns
    -------
    The axes.

    Raises
    ------
    KeyError
        If the run is missing.
    """
    run = stored_run(adata, key, "components", "weights", "cluster_of_component")
    shades = color_of(adata, key)
    names = [str(name) for name in run["components"]]
    owners = [str(name) for name in run["cluster_of_component"]]
    weights = np.asarray(run["weights"], dtype=float)
    column = Keys(key).component if Keys(key).component in adata.obs else key
    hard = categories(adata, column).value_counts(normalize=True).reindex(names, fill_value=0)
    # clusters by size, their components by size
    totals = {owner: sum(w for w, o in zip(weights, owners, strict=True) if o == owner)
              for owner in owners}  # fmt: skip
    order = sorted(range(len(names)), key=lambda k: (-totals[owners[k]], owners[k], -weights[k]))
    ax = new_axes(ax, (5.6, 1.2 + 0.23 * len(names)))
    y = np.arange(len(order))
    ax.barh(y, weights[order], color=[shades.get(owners[k], MISSING) for k in order], height=0.72)
    ax.scatter(hard.to_numpy()[order], y, marker="|", color="black", s=70, linewidths=1.4, zorder=3)
    ax.axvline(1 / len(names), color="gray", linestyle="--", linewidth=1)
    n_used = int((weights >= UNUSED / len(names)).sum())
    labels = [f"{owners[k]} · component {names[k]}" if names != owners else names[k] for k in order]
    ax.set_yticks(y, labels, fontsize=8)
    ax.set_ylim(len(order) - 0.4, -0.6)
    ax.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    ax.set(xlabel="share of the cells (bar: expected, tick: most probable)")
    ax.set_title(f"{n_used} of {len(names)} components used ({key})", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
