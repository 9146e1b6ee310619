"""What the pictures of a map share: the stored places, checked."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from anndata import AnnData

from mixvi._keys import PlaceKeys
from mixvi.space.null import CHANCE


def stored_places(adata: AnnData, name: str) -> np.ndarray:
    """Places of a map in ``obsm``, cells × coordinates.

    Raises
    ------
    KeyError
        If they are missing.
    """
    if name not in adata.obsm:
        found = ", ".join(repr(str(other)) for other in adata.obsm) or "none"
        raise KeyError(
            f"expected places in adata.obsm[{name!r}], found {found}; run mixvi.tl.map_to_space "
            "first, or pass its key"
        )
    return np.asarray(adata.obsm[name], dtype=float)


def drawn_places(adata: AnnData, key: str) -> np.ndarray:
    """Place of each cell, by the read-out without its group where its place was known."""
    keys = PlaceKeys(key)
    places = stored_places(adata, keys.predicted)
    if keys.held_out not in adata.obsm:
        return places
    held_out = stored_places(adata, keys.held_out)
    return np.where(np.isnan(held_out), places, held_out)


def coordinate_names(adata: AnnData, key: str, n: int) -> list[str]:
    """Names of the coordinates of a map."""
    stored: Mapping[str, Any] = adata.uns.get(PlaceKeys(key).params, {})
    return [str(name) for name in stored.get("coordinates", [*"xyz", *map(str, range(3, n))])]


def p_value(adata: AnnData, key: str) -> float | None:
    """P of a map, if it is known; warns if the map is no better than chance."""
    stored: Mapping[str, Any] = adata.uns.get(PlaceKeys(key).params, {})
    if "p_value" not in stored:
        return None
    p = float(stored["p_value"])
    if p >= CHANCE:
        warnings.warn(
            f"expected a map better than shuffled places, found p = {p:.2g}; the picture may show "
            "nothing, do not read it",
            stacklevel=3,
        )
    return p


def in_words(p: float) -> str:
    """Verdict on p for a title."""
    if p >= CHANCE:
        return f"no better than shuffled places (p = {p:.2g})"
    return f"better than shuffled places (p = {p:.2g})"
