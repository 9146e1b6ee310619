"""Measured places, from coordinates of cells or from a table of organs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData

__all__ = ["measured_places"]


def measured_places(
    adata: AnnData, coords: str | pd.DataFrame, obs_key: str | None
) -> tuple[np.ndarray, list[str], str | None]:
    """Place of every cell, NaN where it is not known.

    Parameters
    ----------
    adata, coords, obs_key
        As in :func:`mixvi.tl.map_to_space`.

    Returns
    -------
    places, names, obs_key
        Cells × coordinates, names of the coordinates, and for a table the column of its
        categories.

    Raises
    ------
    KeyError
        If a key is missing.
    ValueError
        If something is wrong with the table or with the numbers.
    """
    if isinstance(coords, pd.DataFrame):
        return _of_table(adata, coords, obs_key)
    if coords not in adata.obsm:
        found = ", ".join(repr(str(name)) for name in adata.obsm) or "none"
        raise KeyError(
            f"expected places in adata.obsm[{coords!r}], found {found}; pass another key, or a "
            "table of places"
        )
    if obs_key is not None:
        raise ValueError(
            f"expected obs_key with a table of places only, found {obs_key!r} with coordinates; "
            "leave it out, or pass groups_key"
        )
    stored = adata.obsm[coords]
    named = isinstance(stored, pd.DataFrame)
    places = np.array(stored, dtype=np.float64).reshape(adata.n_obs, -1)
    if np.isinf(places).any():
        raise ValueError(
            f"expected finite places in adata.obsm[{coords!r}], found infinity; use NaN for cells "
            "without a place"
        )
    places[np.isnan(places).any(1)] = np.nan
    default = [*"xyz"][: places.shape[1]] if places.shape[1] <= 3 else range(places.shape[1])
    return places, [str(name) for name in (stored.columns if named else default)], None


def _of_table(
    adata: AnnData, table: pd.DataFrame, obs_key: str | None
) -> tuple[np.ndarray, list[str], str]:
    key = obs_key if obs_key is not None else table.index.name
    if key is None:
        raise ValueError(
            "expected to know what the rows of the table are, found an index without a name; pass "
            "obs_key, the column of obs with these categories"
        )
    key = str(key)
    if key not in adata.obs:
        found = ", ".join(repr(str(name)) for name in adata.obs.columns) or "none"
        raise KeyError(
            f"expected the column {key!r} in adata.obs, found {found}; pass obs_key, the column "
            "with the categories that the table has rows for"
        )
    rows = table.index.astype(str)
    if rows.has_duplicates:
        twice = rows[rows.duplicated()][0]
        raise ValueError(f"expected one row for each category, found {twice!r} twice; remove one")
    numeric = all(pd.api.types.is_numeric_dtype(table[column]) for column in table)
    if not numeric or not table.shape[1] or not np.isfinite(table.to_numpy(dtype=float)).all():
        raise ValueError(
            "expected finite numbers in the table of places, found others; keep the columns with "
            "coordinates, and leave out rows without a place"
        )
    column = adata.obs[key]
    given = column.notna().to_numpy()
    categories = column[given].astype(str)
    unknown = sorted(set(categories) - set(rows))
    if unknown:
        raise ValueError(
            f"expected a row for every category of adata.obs[{key!r}], found none for "
            f"{', '.join(map(repr, unknown[:5]))}; add them, or set {key!r} to NaN for cells whose "
            "place is to be predicted"
        )
    places = np.full((adata.n_obs, table.shape[1]), np.nan)
    places[given] = table.to_numpy(dtype=float)[rows.get_indexer(categories)]
    return places, [str(name) for name in table.columns], key
