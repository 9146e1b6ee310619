"""Numbers and tables as markdown."""

import math
from collections.abc import Sequence

import pandas as pd

NONE = "–"


def number(value: float, digits: int = 3) -> str:
    """Format with fixed digits, or a dash if the value is not known."""
    return NONE if math.isnan(value) else f"{value:.{digits}f}"


def extent(counts: pd.Series) -> str:
    """Smallest to largest of some integers, ``"3–5"``, or the one value."""
    low, high = counts.min(), counts.max()
    return str(low) if low == high else f"{low}–{high}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown table, first column to the left and the others to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *rows])
