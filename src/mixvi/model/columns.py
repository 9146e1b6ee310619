"""Checks of columns of ``obs``: there, complete, of one kind, known."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

__all__ = ["as_list", "check_categories", "check_columns", "listing", "warn_of_misspelling"]

logger = logging.getLogger(__name__)

_NAMES_SHOWN = 10


def listing(names: Iterable[Any]) -> str:
    """Quote the first names, for a message: ``'a', 'b', … (12 in all)``."""
    names = [repr(str(name)) for name in names]
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown}, … ({len(names)} in all)" if len(names) > _NAMES_SHOWN else shown or "none"


def check_columns(
    adata: AnnData,
    keys: Iterable[str],
    *,
    numeric: Iterable[str] = (),
    positive: Iterable[str] = (),
) -> None:
    """Check that columns of ``adata.obs`` are there and hold a value for every cell.

    Parameters
    ----------
    adata
        Annotated data.
    keys
        Columns that may hold anything: batches, conditions, labels.
    numeric
        Columns that must hold finite numbers: continuous covariates.
    positive
        Columns that must hold finite numbers above zero: size factors.

    Raises
    ------
    KeyError
        If a column is missing; close names are suggested.
    ValueError
        If a column has missing, infinite or (``positive``) non-positive values.
    TypeError
        If a column mixes kinds of values, such as numbers and text, or one of ``numeric`` or
        ``positive`` does not hold numbers.
    """
    numeric, positive = list(numeric), list(positive)
    for key in [*keys, *numeric, *positive]:
        if not isinstance(key, str):
            raise TypeError(
                f"expected the name of a column of adata.obs, found {key!r}; pass one string"
            )
        if key not in adata.obs:
            # scvi-tools keeps columns of its own there, which are nobody's answer
            there = [str(name) for name in adata.obs.columns if not str(name).startswith("_scvi_")]
            close = get_close_matches(key, there, n=3)
            advice = f"did you mean {listing(close)}?" if close else "pass one of these columns"
            raise KeyError(
                f"expected the column {key!r} in adata.obs, found {listing(there)}; {advice}"
            )
        kind = pd.api.types.infer_dtype(_distinct(adata.obs[key]), skipna=True)
        if kind.startswith("mixed"):
            kinds = sorted({type(value).__name__ for value in _distinct(adata.obs[key])})
            raise TypeError(
                f"expected values of one kind in adata.obs[{key!r}], found {', '.join(kinds)}; "
                f"convert the column: adata.obs[{key!r}].astype(str)"
            )
        if n_missing := int(adata.obs[key].isna().sum()):
            raise ValueError(
                f"expected a value for every cell in adata.obs[{key!r}], found {n_missing} of "
                f"{adata.n_obs} cells without one (NaN); fill them (for example with 'unknown') "
                "or drop these cells"
            )
    for key in [*numeric, *positive]:
        column = adata.obs[key]
        if not pd.api.types.is_numeric_dtype(column):
            raise TypeError(
                f"expected numbers in adata.obs[{key!r}], found dtype {column.dtype}; convert the "
                "column, or pass it as a categorical covariate"
            )
        values = column.to_numpy(dtype=float)
        wrong = ~np.isfinite(values)
        if key in positive:
            wrong |= values <= 0
        if wrong.any():
            cell = int(wrong.argmax())
            wanted = "numbers above zero" if key in positive else "finite numbers"
            raise ValueError(
                f"expected {wanted} in adata.obs[{key!r}], found {values[cell]:g} "
                f"(cell {str(adata.obs_names[cell])!r}); correct the value or drop the cell"
            )


def as_list(keys: Any, name: str) -> list[str]:
    """Several columns, none if ``None``.

    Raises
    ------
    TypeError
        If there is one name instead of a list.
    ValueError
        If a column is there twice.
    """
    if isinstance(keys, str):
        raise TypeError(f"expected a list of columns as {name}, found {keys!r}; pass [{keys!r}]")
    columns = list(keys or [])
    for key in columns:
        if columns.count(key) > 1:
            raise ValueError(
                f"expected every column once in {name}, found {key!r} twice; leave one out"
            )
    return columns


def check_categories(adata: AnnData, key: str, known: Iterable[Any]) -> None:
    """Check that a column has no category that a model was not trained on.

    Parameters
    ----------
    adata
        Annotated data.
    key
        The column.
    known
        Categories of the training data.

    Raises
    ------
    ValueError
        If there is another one.
    """
    known = list(known)
    foreign = [value for value in _distinct(adata.obs[key]) if value not in known]
    if foreign:
        raise ValueError(
            f"expected categories that the model knows in adata.obs[{key!r}] ({listing(known)}), "
            f"found {listing(foreign)}; rename them, or map these cells with load_query_data"
        )


def warn_of_misspelling(labels: pd.Series, unlabeled: str) -> None:
    """Warn where no cell has the name for "no label", but some have one that looks like it.

    Parameters
    ----------
    labels
        Labels of cells.
    unlabeled
        The name.
    """
    names = [str(name) for name in labels.unique()]
    by_case = {name.casefold(): name for name in names}
    close = get_close_matches(unlabeled.casefold(), by_case, n=1, cutoff=0.8)
    if unlabeled not in names and close:
        logger.warning(
            "No cell has the unlabeled_category %r, but some have %r, which is learned from as a "
            "label; did you mean that?",
            unlabeled,
            by_case[close[0]],
        )


def _distinct(column: pd.Series) -> np.ndarray:
    """The values that occur, without the missing ones."""
    return np.asarray(column.dropna().unique())
