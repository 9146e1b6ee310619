"""Heat map of clusters against labels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from scipy.optimize import linear_sum_assignment

from mixvi.pl._columns import categories

__all__ = ["contingency"]


def contingency(
    adata: AnnData, *, key: str = "cgmdvae", label_key: str, ax: Axes | None = None
) -> Axes:
    r"""Draw the share of each label in each cluster.

    Entry :math:`(k, l)` is :math:`n_{kl} / \sum_{l'} n_{kl'}`: rows sum to one. Columns follow the
    Hungarian matching of labels to clusters, in the order of the rows, so that a clustering that
    agrees with the labels shows a diagonal; labels without a cluster of their own come last.

    Parameters
    ----------
    adata
        Annotated data.
    key
        Column of ``obs`` with the clusters (rows).
    label_key
        Column of ``obs`` with the labels (columns). Cells without a label are left out.
    ax
        Axes to draw on; ``None`` makes a figure of a size that fits.

    Returns
    -------
    The axes.

    Raises
    ------
    KeyError
        If a column is missing.
    """
    clusters, labels = categories(adata, key), categories(adata, label_key)
    table = pd.crosstab(clusters, labels)  # only categories that occur
    n_per_cluster = table.sum(axis=1)
    table = table.iloc[:, hungarian_order(table.to_numpy())]
    shares = table.to_numpy() / n_per_cluster.to_numpy()[:, None]

    n_rows, n_columns = table.shape
    if ax is None:
        size = (2.6 + 0.42 * n_columns, 1.8 + 0.34 * n_rows)
        _, ax = plt.subplots(figsize=size, layout="constrained")
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="share of the cluster", shrink=0.8)
    ax.set_xticks(range(n_columns), list(table.columns), rotation=45, ha="right")
    names = [f"{name} (n = {n:,})" for name, n in n_per_cluster.items()]
    ax.set_yticks(range(n_rows), names)
    ax.set(xlabel=label_key, ylabel=key)
    return ax


def hungarian_order(counts: np.ndarray) -> np.ndarray:
    """Columns by the row they are matched with; unmatched ones last, the largest first."""
    _, matched = linear_sum_assignment(counts, maximize=True)  # rows come back sorted
    rest = np.setdiff1d(np.arange(counts.shape[1]), matched)
    return np.concatenate([matched, rest[np.argsort(-counts.sum(axis=0)[rest], kind="stable")]])
