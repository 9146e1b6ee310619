"""What speaks for how many clusters."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from mixvi.pl._columns import check_table

__all__ = ["suggested_components"]

_PANELS = {
    "elbo": "held-out ELBO\n(nats per cell)",
    "merge_cost": "cost of\nmerging once more",
    "stability": "stability\n(mean best Jaccard)",
}


def suggested_components(table: pd.DataFrame) -> Figure:
    """Draw the table that a model suggests its number of clusters from.

    One panel per column, all over the number of clusters: the ELBO of held-out cells (higher is
    better; where it levels off, more clusters explain no more), the cost of the merge from this
    number to one fewer (on a logarithmic scale; high: that merge would join what is far apart)
    and, if it was computed, the stability of the clusters. The suggested number is marked.

    Parameters
    ----------
    table
        What ``suggest_n_components`` returns: indexed by ``n_clusters``, columns ``elbo``,
        ``merge_cost`` and perhaps ``stability``, the choice in ``attrs["suggested"]``. Missing
        values (one cluster cannot be merged) are left out, and so are merges that cost nothing.

    Returns
    -------
    Figure with a panel for each of these columns.

    Raises
    ------
    KeyError
        If a column, or the suggested number, is missing.
    TypeError
        If it is no table.
    """
    check_table(table, "suggest_n_components")
    for name in ("elbo", "merge_cost"):
        if name not in table:
            found = ", ".join(map(repr, map(str, table.columns))) or "none"
            raise KeyError(
                f"expected the column {name!r}, found {found}; pass what suggest_n_components "
                "returned"
            )
    if "suggested" not in table.attrs:
        raise KeyError(
            "expected the suggested number in table.attrs['suggested'], found none; pass what "
            "suggest_n_components returned, for a copy made by pandas may have lost it"
        )
    suggested = int(table.attrs["suggested"])
    panels = {name: label for name, label in _PANELS.items() if name in table}
    table = table.sort_index()
    figure, axes = plt.subplots(
        len(panels), 1, sharex=True, figsize=(5.6, 0.7 + 1.9 * len(panels)), layout="constrained"
    )
    for axis, (name, label) in zip(axes, panels.items(), strict=True):
        column = table[name].astype(float)
        if name == "merge_cost":
            column = column[column > 0]
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_minor_locator(NullLocator())
        column = column.dropna()
        axis.plot(column.index, column, color="tab:blue", marker="o", markersize=4, linewidth=1.2)
        axis.axvline(suggested, color="tab:red", linestyle="--", linewidth=1)
        chosen = column[column.index == suggested]
        axis.plot(chosen.index, chosen, color="tab:red", marker="o", markersize=7, linestyle="")
        axis.set_ylabel(label)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_title(f"suggested: {suggested} clusters", color="tab:red", fontsize=10)
    axes[-1].set_xlabel("number of clusters")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.align_ylabels(axes)
    return figure
