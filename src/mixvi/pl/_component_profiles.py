"""What every component expresses: the "cluster heads"."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixvi.pl._columns import check_table
from mixvi.pl._scatter import new_axes

__all__ = ["component_profiles"]

TINY = 1e-8  # beside shares of genes
LIMIT = 3.0  # doublings


def component_profiles(profiles: pd.DataFrame, *, n_top: int = 3, ax: Axes | None = None) -> Axes:
    r"""Draw a heat map of decoded profiles, with the genes that stand out in each.

    The genes of component :math:`k` are those with the largest
    :math:`p_{kg} \log(p_{kg} / \bar p_g)`, where :math:`\bar p` is the mean of the profiles: their
    parts of the divergence of the profile from the average one, so that genes count that are
    both high and special. Each gene is drawn once, with the first component that has it. Colors
    are :math:`\log_2 (p_{kg} / \bar p_g)`, cut at ± 3 doublings.

    Parameters
    ----------
    profiles
        Components × genes, not negative: ``model.get_component_profiles()``.
    n_top
        Genes for every component.
    ax
        Axes to draw on; ``None`` makes a figure of a size that fits.

    Returns
    -------
    The axes.

    Raises
    ------
    TypeError
        If it is no table.
    ValueError
        If a value is negative or not finite.

    See Also
    --------
    image_grid : for profiles that are images.
    """
    check_table(profiles, "get_component_profiles")
    values = profiles.to_numpy(dtype=float)
    if not np.isfinite(values).all() or (values < 0).any():
        raise ValueError(
            "expected profiles that are finite and not negative, found others; pass what "
            "get_component_profiles returns for a model of counts"
        )
    shares = values / np.maximum(values.sum(1, keepdims=True), TINY) + TINY
    ratio = np.log2(shares / shares.mean(0))
    standing_out = shares * ratio
    genes: list[int] = []
    for row in standing_out:
        genes += [g for g in np.argsort(-row, kind="stable") if g not in genes][:n_top]
    ax = new_axes(ax, (2.2 + 0.2 * len(genes), 1.6 + 0.26 * len(profiles)))
    image = ax.imshow(
        ratio[:, genes].clip(-LIMIT, LIMIT), cmap="RdBu_r", vmin=-LIMIT, vmax=LIMIT, aspect="auto"
    )
    ax.figure.colorbar(image, ax=ax, label="doublings from the mean", shrink=0.8)
    names = [" · ".join(map(str, n)) if isinstance(n, tuple) else str(n) for n in profiles.index]
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set_xticks(
        range(len(genes)), [str(profiles.columns[g]) for g in genes], rotation=90, fontsize=7
    )
    ax.set(ylabel="component")
    return ax
