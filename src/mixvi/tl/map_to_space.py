"""Cells to their place in the body or the tissue."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from mixvi._keys import PlaceKeys, check_unclaimed
from mixvi.metrics import place_scores
from mixvi.space import Readout, fit_places, permutation_null, spatial_blocks
from mixvi.space.null import CHANCE

from .places import measured_places

__all__ = ["apply_space_map", "map_to_space"]


def map_to_space(
    adata: AnnData,
    coords: str | pd.DataFrame = "spatial",
    *,
    use_rep: str = "X_rmve",
    obs_key: str | None = None,
    groups_key: str | None = None,
    null: Literal["auto", "groups", "cells"] = "auto",
    n_permutations: int = 200,
    key_added: str = "place",
    rng: int | np.random.Generator | None = 0,
    copy: bool = False,
) -> AnnData | None:
    """Map cells to their physical place with a linear read-out of the latent space.

    Ridge regression from the latent space to the places of those cells that have one; then every
    cell gets a place, also those that were never measured. The error is that on whole groups left
    out (:func:`mixvi.space.fit_places`), never on neighbors of the cells that were fitted, and it
    is compared to that of shuffled places (:func:`mixvi.space.permutation_null`). With few places
    a linear map fits anything, so look at the p-value before you believe the picture.

    Draw it with :func:`mixvi.pl.body_map`, look at its errors with :func:`mixvi.pl.place_errors`.

    Parameters
    ----------
    adata
        Annotated cells with a latent representation.
    coords
        Key of ``obsm`` with the places, cells × coordinates; NaN where not known. Or a table of
        places, for example of organs (:func:`mixvi.datasets.organ_places`), one row for each
        category of a column of ``obs``.
    use_rep
        Key of ``obsm`` with the latent representation.
    obs_key
        The column that the rows of the table are categories of; by default the name of the
        table's index. Cells where it is missing are those to be predicted.
    groups_key
        Column of ``obs`` that says what is left out together: donor, section, zone. By default,
        the rows of a table one by one, and of coordinates ten contiguous blocks of the tissue.
    null
        What is shuffled: which group lies where, or the cells within their groups; ``"auto"``
        decides by where the places differ, see :func:`mixvi.space.permutation_null`.
    n_permutations
        With n of them p is at least 1/(n + 1).
    key_added
        Name of the result, the prefix of every key.
    rng
        Seed or generator of the permutations.
    copy
        Return an annotated copy and leave ``adata`` alone.

    Returns
    -------
    ``None``, or the copy. With ``key_added="place"`` are written:

    - ``obsm["X_place"]``: place of every cell, cells × coordinates;
    - ``obsm["place_sd"]``, ``obs["place_sd"]``: its standard error, by coordinate and over all
      (:class:`mixvi.space.Readout`);
    - ``obsm["place_measured"]``: the places that were known, NaN elsewhere;
    - ``obsm["place_held_out"]``, ``obs["place_error"]``, ``obs["place_group"]``: of those cells
      the prediction without their group, its distance, and the group;
    - ``uns["place"]``: ``scores`` on the cells left out (:func:`mixvi.metrics.place_scores`),
      ``groups`` (cells and errors of each, and the error of answering with the mean place),
      ``r2``, ``skill`` (:class:`mixvi.space.PermutationNull`) with its ``null`` and ``p_value``,
      ``penalty``, ``readout``, ``coordinates``, ``params``.

    Raises
    ------
    KeyError
        If a key is missing.
    ValueError
        If the table lacks a category, places are not numbers, a cell with a place has no group,
        there are fewer than 3 groups, the latent representation is not finite, or ``key_added``
        names something that mixvi did not write.

    Warns
    -----
    UserWarning
        If the map is not better than chance, p ≥ .01.

    Examples
    --------
    >>> mixvi.tl.map_to_space(adata, "spatial", groups_key="section")  # doctest: +SKIP
    >>> places = mixvi.datasets.organ_places()  # doctest: +SKIP
    >>> mixvi.tl.map_to_space(adata, places, obs_key="organ")  # doctest: +SKIP
    """
    keys = PlaceKeys(key_added)
    if use_rep == keys.predicted:
        raise ValueError(
            f"expected another name than the latent representation's, found key_added="
            f"{key_added!r}, which would replace adata.obsm[{use_rep!r}]; choose another"
        )
    check_unclaimed(adata, keys)
    z = _latent(adata, use_rep)
    places, names, obs_key = measured_places(adata, coords, obs_key)
    known = ~np.isnan(places).any(1)
    groups = _groups(adata, groups_key or obs_key, places, known)
    fit = fit_places(z[known], places[known], groups[known])
    shuffled = permutation_null(
        z[known],
        places[known],
        groups[known],
        how=null,
        n_permutations=n_permutations,
        rng=rng,
    )

    target = adata.copy() if copy else adata
    _write_places(target, keys, fit.readout, z)
    held_out = np.full(places.shape, np.nan)
    held_out[known] = fit.predicted
    target.obsm[keys.measured], target.obsm[keys.held_out] = places, held_out
    target.obs[keys.error] = np.linalg.norm(places - held_out, axis=1)
    target.obs[keys.group] = pd.Categorical(groups)
    target.uns[keys.params] = {
        "scores": place_scores(places[known], fit.predicted),
        "groups": _errors_by_group(places[known], fit.predicted, groups[known]),
        "r2": fit.r2,
        "skill": shuffled.skill,
        "null": shuffled.null,
        "p_value": shuffled.p_value,
        "penalty": fit.penalty,
        "readout": fit.readout.to_dict(),
        "coordinates": names,
        "params": {
            "coords": coords if isinstance(coords, str) else "table",
            "use_rep": use_rep,
            "groups_key": groups_key or obs_key or "blocks",
            "null": shuffled.how,
            **({} if obs_key is None else {"obs_key": obs_key}),
        },
    }
    if shuffled.p_value >= CHANCE:
        warnings.warn(
            f"expected a map better than shuffled places, found p = {shuffled.p_value:.2g} for "
            f"{len(np.unique(groups[known]))} groups; take more groups (and at least 100 "
            "permutations), or do not read the map",
            stacklevel=2,
        )
    return target if copy else None


def apply_space_map(
    adata: AnnData,
    reference: AnnData,
    *,
    key: str = "place",
    use_rep: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Put new cells on a map that was made with :func:`map_to_space`.

    Parameters
    ----------
    adata
        New cells, with a latent representation by the same model, for instance a query that was
        mapped onto it.
    reference
        The cells that the map was made with.
    key
        The ``key_added`` of the map.
    use_rep
        Key of ``obsm`` with the latent representation; by default that of the map.
    copy
        Return an annotated copy and leave ``adata`` alone.

    Returns
    -------
    ``None``, or the copy. Written are ``obsm["X_{key}"]``, ``obsm["{key}_sd"]`` and
    ``obs["{key}_sd"]``.

    Raises
    ------
    KeyError
        If there is no map, or no latent representation.
    ValueError
        If the latent representation has another number of dimensions, or is not finite.
    """
    keys = PlaceKeys(key)
    if keys.params not in reference.uns or "readout" not in reference.uns[keys.params]:
        raise KeyError(
            f"expected a map in reference.uns[{key!r}], found none; run mixvi.tl.map_to_space on "
            "the reference first, or pass its key"
        )
    stored = reference.uns[keys.params]
    z = _latent(adata, use_rep or str(stored["params"]["use_rep"]))
    readout = Readout.from_dict(stored["readout"])
    readout.predict(z[:1])  # refuses before anything is written or copied
    target = adata.copy() if copy else adata
    _write_places(target, keys, readout, z)
    return target if copy else None


def _latent(adata: AnnData, use_rep: str) -> np.ndarray:
    """Latent representation, checked."""
    if use_rep not in adata.obsm:
        found = ", ".join(repr(str(name)) for name in adata.obsm) or "none"
        raise KeyError(
            f"expected the latent representation {use_rep!r} in adata.obsm, found {found}; run "
            "mixvi.tl.rmve or mixvi.tl.cgmdvae first, or pass use_rep"
        )
    z = np.asarray(adata.obsm[use_rep], dtype=np.float64)
    bad = ~np.isfinite(z).all(1)
    if bad.any():
        raise ValueError(
            f"expected finite numbers in adata.obsm[{use_rep!r}], found NaN or infinity in "
            f"{bad.sum()} cells, the first {adata.obs_names[bad][0]!r}; leave these cells out"
        )
    return z


def _groups(adata: AnnData, key: str | None, places: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Group of each cell with a place, None for the others."""
    groups = np.full(adata.n_obs, None, dtype=object)
    if key is None:
        n_blocks = min(10, int(known.sum()) // 2)
        if n_blocks >= 3:
            groups[known] = [f"block {b}" for b in spatial_blocks(places[known], n_blocks)]
        return groups
    if key not in adata.obs:
        found = ", ".join(repr(str(name)) for name in adata.obs.columns) or "none"
        raise KeyError(f"expected the column {key!r} in adata.obs, found {found}; pass groups_key")
    column = adata.obs[key]
    missing = int(column.isna().to_numpy()[known].sum())
    if missing:
        raise ValueError(
            f"expected a group in adata.obs[{key!r}] for every cell with a place, found {missing} "
            "without; fill them in, or set their places to NaN"
        )
    groups[known] = column.astype(str).to_numpy()[known]
    return groups


def _write_places(target: AnnData, keys: PlaceKeys, readout: Readout, z: np.ndarray) -> None:
    """Place and error bars of every cell."""
    places, sd = readout.predict(z)
    target.obsm[keys.predicted], target.obsm[keys.sd] = places, sd
    target.obs[keys.sd] = np.linalg.norm(sd, axis=1)


def _errors_by_group(places: np.ndarray, predicted: np.ndarray, groups: np.ndarray) -> pd.DataFrame:
    """Cells and median distances of each group; for comparison, of the mean place of the others."""
    rows: dict[str, dict[str, Any]] = {}
    for group in np.unique(groups.astype(str)):
        inside = groups == group
        mean = places[~inside].mean(0)
        rows[group] = {
            "n_cells": int(inside.sum()),
            "median_distance": np.median(
                np.linalg.norm(places[inside] - predicted[inside], axis=1)
            ),
            "mean_place": np.median(np.linalg.norm(places[inside] - mean, axis=1)),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
