"""The page about cells and their physical place."""

from collections.abc import Sequence

import pandas as pd

from benchmarks.markdown import NONE, markdown, number
from benchmarks.space import METHODS, N_FOLDS, N_PERMUTATIONS
from benchmarks.space_sets import SETS
from benchmarks.store import Row

NAMES = {
    "rmve": "RMVE",
    "cgmdvae": "CGMDVAE",
    "scvi": "SCVI",
    "pca": "PCA",
    "genes": "all genes",
    "mean": "mean place",
}
# set → heading, what is left out, and columns: name, key, what is left out, digits
Column = tuple[str, str, str, int]
PAGES: dict[str, tuple[str, str, tuple[Column, ...]]] = {
    "intestine_zonation": (
        "Zones of the villus",
        "one of seven ordered zones of the intestinal villus",
        (
            ("Spearman", "spearman", "groups", 3),
            ("zones off", "zone_error", "groups", 2),
            ("p", "p_value", "groups", 3),
            ("within 1.96 errors", "coverage", "groups", 2),
            ("Spearman, cells", "spearman", "cells", 3),
            ("zones off, cells", "zone_error", "cells", 2),
        ),
    ),
    "osmfish_cortex": (
        "Cortex, two coordinates",
        "one of ten blocks of a section of mouse cortex, 1.5 × 3.1 mm",
        (
            ("median error, µm", "median_distance", "groups", 0),
            ("R²", "r2", "groups", 3),
            ("depth error, µm", "depth_error", "groups", 0),
            ("depth Spearman", "depth_spearman", "groups", 3),
            ("p", "p_value", "groups", 3),
            ("within 1.96 errors", "coverage", "groups", 2),
            ("median error, cells", "median_distance", "cells", 0),
        ),
    ),
    "bdtnp_drosophila": (
        "Embryo, three coordinates",
        "one of ten blocks of a fly embryo, 392 × 133 × 145 µm, intensities of 84 genes",
        (
            ("median error, µm", "median_distance", "groups", 1),
            ("R²", "r2", "groups", 3),
            ("Spearman", "spearman", "groups", 3),
            ("p", "p_value", "groups", 3),
            ("within 1.96 errors", "coverage", "groups", 2),
            ("median error, cells", "median_distance", "cells", 1),
        ),
    ),
}
LARGE_IS_GOOD = ("spearman", "depth_spearman", "r2", "coverage")


def score(rows: pd.DataFrame, key: str, digits: int) -> str:
    """Mean over seeds, with the worst one in parentheses where there are several."""
    values = rows[key].dropna() if key in rows else pd.Series(dtype=float)
    if values.empty:
        return NONE
    if len(values) == 1:
        return number(float(values.iloc[0]), digits)
    worst = values.min() if key in LARGE_IS_GOOD else values.max()
    return f"{number(float(values.mean()), digits)} ({number(float(worst), digits)})"


def set_section(frame: pd.DataFrame, name: str) -> str:
    """Heading and table of one set."""
    title, what, columns = PAGES[name]
    lines = []
    for method in METHODS:
        own = frame[(frame["set"] == name) & (frame["method"] == method)]
        if len(own):
            parts = {left_out: own[own["left_out"] == left_out] for left_out in ("groups", "cells")}
            cells = [score(parts[left_out], key, digits) for _, key, left_out, digits in columns]
            lines.append([NAMES[method], str(own["seed"].nunique()), *cells])
    text = f"`{name}`. Left out: {what}."
    table = markdown(["read-out from", "seeds", *(column[0] for column in columns)], lines)
    return f"## {title}\n\n{text}\n\n{table}"


def space_page(rows: Sequence[Row]) -> str:
    """Write the page."""
    frame = pd.DataFrame(rows)
    text = (
        "One and the same ridge read-out, its penalty chosen inside, from every representation; "
        "no representation was told a place. The error is that on the group left out: a zone, or a "
        "block of the tissue where there are no sections. Columns that end in *cells* leave out a "
        f"random {100 // N_FOLDS}% of the cells instead, whose neighbors are in training: easier, "
        "and not what a map is for. p compares the error saved against the mean place with that of "
        f"{N_PERMUTATIONS} maps of which the groups' places were exchanged, so it is at least "
        f"{1 / (N_PERMUTATIONS + 1):.3f}. *Within 1.96 errors* is the share of coordinates inside "
        "the error bars, each group unseen by fit and error bar. The mean place of the other "
        "groups is further from the one left out than that of all: hence its negative "
        "correlation. Mean (worst) over seeds."
    )
    there = set(frame["set"])
    sections = [set_section(frame, name) for name in SETS if name in there]
    return "\n\n".join(["# Cells and their place", text, *sections]) + "\n"
