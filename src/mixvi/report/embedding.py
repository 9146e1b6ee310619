"""The picture of the cells: places and columns, packed for the page's script."""

from __future__ import annotations

import base64
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData

from mixvi.pl._columns import categories

from .clusters import safe_colors
from .run import Run

__all__ = ["Picture", "draw_cells", "embed", "packed"]

UMAP_UP_TO = 20_000  # cells; beyond, minutes
DRAWN = 200_000  # cells
MOST_CATEGORIES, MOST_NUMBERS, MANY = 12, 8, 100
STEPS = 65_534  # of 16 bits, the last for what is missing


@dataclass(frozen=True)
class Picture:
    """What the script draws.

    Attributes
    ----------
    name
        Of the embedding, for people.
    origin
        One sentence on where it comes from.
    n_cells
        Cells drawn.
    payload
        Numbers, strings and packed arrays, for JSON.
    """

    name: str
    origin: str
    n_cells: int
    payload: dict[str, Any]


def embed(adata: AnnData, run: Run, basis: str | None = None) -> tuple[np.ndarray, str, str]:
    """Give two dimensions, their name and where they come from.

    The UMAP that is there; else one of the latent space, or for many cells its principal
    components.

    Parameters
    ----------
    adata, run
        Annotated cells.
    basis
        Key of ``obsm`` to draw instead.

    Raises
    ------
    KeyError
        If there is no such key, or no latent space.
    """
    if basis is None and "X_umap" in adata.obsm:
        basis = "X_umap"
    if basis is not None:
        if basis not in adata.obsm:
            found = ", ".join(map(repr, adata.obsm)) or "none"
            raise KeyError(
                f"expected the embedding {basis!r} in adata.obsm, found {found}; compute it, or "
                "leave basis out"
            )
        made_from = adata.uns.get("neighbors", {}).get("params", {}).get("use_rep")
        origin = f"{basis} of the file"
        if basis == "X_umap" and made_from is not None:
            origin += f", made from {made_from}"
        points = np.asarray(adata.obsm[basis], dtype=float)[:, :2]
        return points, basis.removeprefix("X_").upper(), origin
    if run.keys.latent not in adata.obsm:
        raise KeyError(
            f"expected the latent space {run.keys.latent!r} in adata.obsm, found none; pass basis"
        )
    latent = np.asarray(adata.obsm[run.keys.latent], dtype=np.float32)
    cells = AnnData(obs=pd.DataFrame(index=adata.obs_names), obsm={"z": latent})
    if 15 < adata.n_obs <= UMAP_UP_TO and latent.shape[1] > 2:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of UMAP's compiler
            sc.pp.neighbors(cells, use_rep="z", random_state=0)
            sc.tl.umap(cells, random_state=0)
        return cells.obsm["X_umap"], "UMAP", f"computed for this report from {run.keys.latent}"
    if latent.shape[1] <= 2:
        points = np.pad(latent, ((0, 0), (0, 2 - latent.shape[1])))
        return points, "latent space", f"the latent space {run.keys.latent} itself"
    centered = latent - latent.mean(0)
    values, axes = np.linalg.eigh(centered.T @ centered)
    return (
        centered @ axes[:, np.argsort(-values)[:2]],
        "PCA",
        f"the first two principal components of the latent space {run.keys.latent}; a UMAP shows "
        "more and takes its time: sc.pp.neighbors and sc.tl.umap before the report",
    )


def draw_cells(
    adata: AnnData, run: Run, label_key: str | None, basis: str | None, *, n_drawn: int = DRAWN
) -> Picture:
    """Pack the cells in a fixed shuffled order, so that no cluster hides another.

    Parameters
    ----------
    adata, run
        Annotated cells.
    label_key
        Column of ``obs`` that comes right after the clusters.
    basis
        Key of ``obsm``, or ``None``.
    n_drawn
        Of more cells, so many are drawn at random.
    """
    points, name, origin = embed(adata, run, basis)
    order = np.random.default_rng(0).permutation(adata.n_obs)[:n_drawn]
    low, high = points.min(0), points.max(0)
    span = max(float((high - low).max()), 1e-12)
    shown = adata.obs.iloc[order]
    first = [run.keys.cluster, label_key, run.keys.confidence, run.key_of("batch")]
    first += [run.key_of("condition"), run.keys.novelty, run.keys.novel, run.keys.entropy]
    names = [c for c in dict.fromkeys([*first, *adata.obs]) if c in adata.obs]
    numbers: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    for column in names:
        values = adata.obs[column]
        if str(column).startswith("_scvi"):
            continue
        if pd.api.types.is_numeric_dtype(values) and values.dtype != bool:
            if len(numbers) < MOST_NUMBERS and np.isfinite(values).any():
                numbers.append(_number(column, shown[column].to_numpy(dtype=float)))
        elif len(texts) < MOST_CATEGORIES and (values.nunique() <= MANY or column in first):
            texts.append(_categorical(adata, column, order))
    places = {str(column): i for i, column in enumerate(names)}
    payload = {
        "n": len(order),
        "xy": packed(np.round((points[order] - low) / span * STEPS).astype("<u2")),
        "aspect": [float(v) for v in (high - low) / span],
        "names": "\n".join(" ".join(str(cell).split("\n")) for cell in shown.index),
        "columns": sorted([*texts, *numbers], key=lambda c: places[c["key"]]),
        "cluster": run.keys.cluster,
    }
    return Picture(name, origin, len(order), payload)


def packed(values: np.ndarray) -> str:
    """The bytes of an array as text."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def _categorical(adata: AnnData, column: str, order: np.ndarray) -> dict[str, Any]:
    values = categories(adata, column)
    names = list(values.cat.categories)
    codes = values.cat.codes.to_numpy(dtype=np.int64)[order]  # room for the code of nothing
    small = len(names) < 255
    missing = 255 if small else STEPS + 1
    return {
        "key": str(column),
        "kind": "names",
        "names": names,
        "colors": safe_colors(adata, column, len(names)),
        "bytes": 1 if small else 2,
        "data": packed(np.where(codes < 0, missing, codes).astype("u1" if small else "<u2")),
    }


def _number(column: str, values: np.ndarray) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    share = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    whole = bool((finite == finite.round()).all())
    colored = np.quantile(finite, [0.005, 0.995]).tolist() if len(finite) else [low, high]
    return {
        "key": str(column),
        "kind": "numbers",
        "range": [low, high],
        "colored": colored,
        "whole": whole,
        "data": packed(
            np.where(np.isfinite(values), share * STEPS, STEPS + 1).round().astype("<u2")
        ),
    }
