"""The page about the cost at which merging stops."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.markdown import markdown, number
from benchmarks.store import Row


def threshold_page(rows: Sequence[Row]) -> str:
    """Write the page about the cost at which merging stops: mean ARI (clusters) over seeds."""
    frame = pd.DataFrame(rows)
    thresholds = frame["threshold"].iloc[0]
    lines = []
    for (cells, model), own in frame.groupby(["cells", "model"], sort=False):
        shown = [
            f"{number(ari)} ({number(n, 0)})"
            for ari, n in zip(_mean(own["ari"]), _mean(own["n_clusters"]), strict=True)
        ]
        lines.append([cells, model, str(len(own)), str(own["n_types"].iloc[0]), *shown])
    # every kind of cells counts once, however many seeds it has
    overall = _mean(frame.groupby(["cells", "model"])["ari"].apply(_mean))
    lines.append(["**mean**", "", "", "", *(number(ari) for ari in overall)])
    text = (
        "Both models with 30 components, and their merge trees cut where a merge would cost more "
        "than a threshold: ARI and, in brackets, the number of clusters, means over seeds. "
        'The default of `n_components="auto"` is read off here.'
    )
    header = ["cells", "model", "seeds", "types", *(f"{t:g}" for t in thresholds)]
    return "\n\n".join(["# Where merging stops", text, markdown(header, lines)]) + "\n"


def _mean(values: pd.Series) -> np.ndarray:
    return np.mean(np.stack([np.asarray(value, dtype=float) for value in values]), axis=0)
