"""Labels and clusters as codes, checked, with names in natural order."""

import re

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


def paired(
    labels: ArrayLike, clusters: ArrayLike
) -> tuple[np.ndarray, np.ndarray, list[object], list[object]]:
    """Codes of labels and clusters of the labeled cells, and the names in natural order."""
    sides = {"labels": pd.Series(labels), "clusters": pd.Series(clusters)}
    n_labels, n_clusters = len(sides["labels"]), len(sides["clusters"])
    if n_labels != n_clusters:
        raise ValueError(
            "expected `labels` and `clusters` of equal length, "
            f"found {n_labels} and {n_clusters}; pass one value of each per cell."
        )
    labeled = sides["labels"].notna().to_numpy()
    if not labeled.any():
        raise ValueError(
            f"expected at least one cell with a label, found none among {n_labels}; "
            "pass `labels` that are not all missing."
        )
    n_missing = int(sides["clusters"].isna().to_numpy()[labeled].sum())
    if n_missing:
        raise ValueError(
            f"expected a cluster for every labeled cell, found {n_missing} without; give them a "
            "cluster of their own, or leave these cells out of both arguments on purpose."
        )
    label, label_names = _codes(sides["labels"][labeled])
    cluster, cluster_names = _codes(sides["clusters"][labeled])
    return label, cluster, label_names, cluster_names


def _codes(values: pd.Series) -> tuple[np.ndarray, list[object]]:
    """Give each distinct value its number in natural order."""
    codes, names = pd.factorize(values.astype(object))
    order = sorted(range(len(names)), key=lambda i: _natural(names[i]))
    return np.argsort(order)[codes], [names[i] for i in order]


def _natural(name: object) -> tuple[tuple[int, float, str], ...]:
    """Sort key: numbers, also those inside of names, by value, and before text."""
    if isinstance(name, int | float | np.number):
        return ((0, float(name), ""),)
    # Splitting by a group alternates text and digits; the name itself breaks ties (1, 01).
    parts = re.split(r"([0-9]+)", str(name))
    return (
        *(
            (0, float(part), "") if i % 2 else (1, 0.0, part)
            for i, part in enumerate(parts)
            if part
        ),
        (1, 0.0, str(name)),
    )
