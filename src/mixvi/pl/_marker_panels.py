"""An embedding once for every marker gene."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from mixvi.pl._columns import categories, color_of
from mixvi.pl._scatter import (
    LOOK,
    bare,
    category_colors,
    embedding,
    point_size,
    shuffled,
    write_names,
)

__all__ = ["marker_panels"]

# from the gray of cells without the gene, so that absence does not look like a low value
SHADES = LinearSegmentedColormap.from_list("expression", ["0.88", "#fdae6b", "#d94801", "#7f2704"])


def marker_panels(
    adata: AnnData,
    genes: str | Sequence[str],
    *,
    key: str | None = "cgmdvae",
    basis: str = "X_umap",
    layer: str | None = None,
    n_columns: int = 4,
) -> Figure:
    r"""Draw where marker genes are expressed: the clusters, then one panel for every gene.

    Counts :math:`x` are shown as :math:`\log(1 + 10^4 x_{ng} / \sum_g x_{ng})`, so that deep cells
    do not look like cells that express more; values that are not counts are shown as they are.
    Cells are drawn in the order of their expression, the highest last: those of a rare type stay
    visible, and a panel looks fuller than it is. The upper end of each scale is its own.

    Parameters
    ----------
    adata
        Annotated cells.
    genes
        One or more of ``var_names``.
    key
        The ``key_added`` of the model's run, for the panel of clusters; ``None`` leaves it out.
    basis
        Key of ``obsm``, cells × 2; further dimensions are ignored.
    layer
        Layer with the counts or values; ``None``: ``X``. ``predict_counterfactual`` and
        ``get_normalized_expression`` give values without counting noise, for comparison.
    n_columns
        Panels beside each other.

    Returns
    -------
    The figure.

    Raises
    ------
    KeyError
        If a gene, the layer, the embedding or the clusters are missing.
    ValueError
        If there are no genes, or names of genes repeat.
    """
    names = [genes] if isinstance(genes, str) else list(genes)
    values, unit = _expression(adata, names, layer)
    points = embedding(adata, basis)
    clusters = None if key is None else categories(adata, key)
    size = point_size(adata.n_obs)

    n_panels = len(names) + (clusters is not None)
    n_columns = min(n_columns, n_panels)
    n_rows = -(-n_panels // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(3.1 * n_columns, 2.7 * n_rows),
        layout="constrained",
        squeeze=False,
    )
    panels = list(axes.flat)
    for axis in panels[n_panels:]:
        axis.set_axis_off()
    if key is not None and clusters is not None:
        order = shuffled(adata.n_obs)
        shown = category_colors(clusters, list(color_of(adata, key).values()))[order]
        axis = panels.pop(0)
        axis.scatter(*points[order].T, c=list(shown), s=size, **LOOK)
        write_names(axis, points, clusters)
        axis.set_title(f"cluster ({key})")
        bare(axis, basis)
    for axis, name, value in zip(panels, names, values.T, strict=False):
        order = np.argsort(value, kind="stable")
        top = float(value.max(initial=0)) or 1.0  # a gene that no cell has
        drawn = axis.scatter(
            *points[order].T,
            c=value[order],
            s=size,
            cmap=SHADES,
            vmin=min(0.0, float(value.min(initial=0))),
            vmax=top,
            **LOOK,
        )
        axis.set_title(name, style="italic")
        bare(axis, basis)
        figure.colorbar(drawn, ax=axis, shrink=0.8, label=unit)
    return figure


def _expression(adata: AnnData, names: list[str], layer: str | None) -> tuple[np.ndarray, str]:
    """Values of some genes, cells × genes, and what they are."""
    if not names:
        raise ValueError("expected one gene or more, found none; pass names of adata.var_names")
    # Since anndata 0.13 the layer None is X.
    layers = [str(name) for name in adata.layers if name is not None]
    if layer is not None and layer not in layers:
        found = ", ".join(map(repr, layers)) or "none"
        raise KeyError(
            f"expected the layer {layer!r} in adata.layers, found {found}; pass one of these, or "
            "none to use adata.X"
        )
    if not adata.var_names.is_unique:
        raise ValueError(
            "expected names of genes that are unique, found some twice; call "
            "adata.var_names_make_unique()"
        )
    for name in names:
        if name not in adata.var_names:
            close = get_close_matches(name, adata.var_names.astype(str), n=3, cutoff=0.5)
            near = f"; the nearest names are {', '.join(map(repr, close))}" if close else ""
            raise KeyError(
                f"expected the gene {name!r} in adata.var_names, found none of that name{near}; "
                "pass names as they are in var_names"
            )
    matrix: Any = adata.X if layer is None else adata.layers[layer]
    picked = matrix[:, adata.var_names.get_indexer_for(names)]
    values = np.asarray(picked.toarray() if hasattr(picked, "toarray") else picked, dtype=float)
    if (values < 0).any() or (values % 1).any():
        return values, "expression"
    depth = np.asarray(matrix.sum(1), dtype=float).reshape(-1, 1)
    return np.log1p(1e4 * values / np.maximum(depth, 1)), "log(1 + counts per 10,000)"
