"""What was logged in training, as tables and as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

__all__ = ["as_tables", "as_values"]


def as_values(history: Mapping[str, pd.DataFrame] | None) -> dict[str, Any] | None:
    """Tables of one column each → lists, which no version of pandas is needed for.

    Parameters
    ----------
    history
        Tables by name, the epoch as index.
    """
    if history is None:
        return None
    return {
        name: {"index": table.index.tolist(), "values": table.iloc[:, 0].astype(float).tolist()}
        for name, table in history.items()
    }


def as_tables(values: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """The way back.

    Parameters
    ----------
    values
        What :func:`as_values` gave.
    """
    return {
        name: pd.DataFrame({name: saved["values"]}, pd.Index(saved["index"], name="epoch"))
        for name, saved in values.items()
    }
