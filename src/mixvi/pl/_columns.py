"""Columns of ``obs`` as categories with colors."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import scanpy as sc
from anndata import AnnData
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mixvi._keys import Keys, column_names

MISSING = "lightgray"
LEGEND_ROWS = 16


def check_table(table: Any, made_by: str) -> None:
    """Check that something is a table.

    Raises
    ------
    TypeError
        If it is not: other plots take the cells.
    """
    if not isinstance(table, pd.DataFrame):
        raise TypeError(
            f"expected the table that {made_by} returns, found {type(table).__name__}; call that "
            "method of the model first"
        )


def obs_column(adata: AnnData, key: str) -> pd.Series:
    """Give a column of ``obs``, or say which there are.

    Raises
    ------
    KeyError
        If there is no such column.
    """
    if key not in adata.obs:
        found = ", ".join(repr(str(name)) for name in adata.obs.columns) or "none"
        raise KeyError(
            f"expected the column {key!r} in adata.obs, found {found}; run the model first, or "
            "pass the name of another column"
        )
    return adata.obs[key]


def categories(adata: AnnData, key: str) -> pd.Series:
    """Give a column of ``obs`` as a categorical with string categories."""
    column = obs_column(adata, key).astype("category")
    return column.cat.rename_categories([str(name) for name in column.cat.categories])


def colors(adata: AnnData, key: str, n_categories: int) -> list[str]:
    """Give one color per category: those of ``uns``, else the ones that scanpy would take."""
    stored = adata.uns.get(f"{key}_colors")
    if stored is not None and len(stored) >= n_categories:
        return [str(color) for color in stored[:n_categories]]
    cycle = rcParams["axes.prop_cycle"].by_key().get("color", [])
    palettes = sc.pl.palettes
    for palette in (cycle, palettes.default_20, palettes.default_28, palettes.default_102):
        if n_categories <= len(palette):
            return list(palette[:n_categories])
    return ["gray"] * n_categories


def color_of(adata: AnnData, key: str) -> dict[str, str]:
    """Give the color of every category of a column, by its name."""
    names = categories(adata, key).cat.categories
    return dict(zip(names, colors(adata, key, len(names)), strict=True))


def legend(axis: Axes, column: pd.Series, shades: list[str], title: str | None = None) -> None:
    """Name the categories of a column to the right of an axis, missing values last."""
    names = list(column.cat.categories)
    if column.isna().any():
        names, shades = [*names, "NA"], [*shades, MISSING]
    handles = [
        Line2D([], [], marker="o", linestyle="", color=shade, label=name, markersize=6)
        for name, shade in zip(names, shades, strict=True)
    ]
    axis.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        frameon=False,
        fontsize=8,
        handletextpad=0.2,
        title=title,
        ncols=-(-len(names) // LEGEND_ROWS),
    )


def stored_run(adata: AnnData, key: str, *names: str) -> Mapping[str, Any]:
    """Give what a run wrote into ``uns``, if all of ``names`` are in it.

    Raises
    ------
    KeyError
        If the run, or one of them, is missing.
    """
    run = adata.uns.get(key, {})
    for name in names:
        if name not in run:
            found = ", ".join(repr(str(other)) for other in run) or "nothing"
            raise KeyError(
                f"expected {name!r} in adata.uns[{key!r}], found {found}; run the model first, or "
                "pass the `key` of its run"
            )
    return run


def probabilities(adata: AnnData, key: str) -> pd.DataFrame:
    """Give the probabilities of the clusters, cells × clusters.

    Raises
    ------
    KeyError
        If there are none.
    """
    name = Keys(key).probs
    if name not in adata.obsm:
        found = ", ".join(repr(str(other)) for other in adata.obsm) or "none"
        raise KeyError(
            f"expected the probabilities {name!r} in adata.obsm, found {found}; run the model "
            "first, or pass the `key` of its run"
        )
    clusters = categories(adata, key).cat.categories
    name_of = dict(zip(column_names(clusters), clusters, strict=True))
    probs = adata.obsm[name]
    return probs.set_axis([name_of.get(column, str(column)) for column in probs.columns], axis=1)
