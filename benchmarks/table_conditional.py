"""The page about simulated classes under two conditions."""

from collections.abc import Sequence

import pandas as pd

from benchmarks.markdown import markdown, number
from benchmarks.store import Row


def conditional_page(rows: Sequence[Row]) -> str:
    """Write the page about simulated classes under two conditions: mean (lowest) over seeds."""
    frame = pd.DataFrame(rows)
    scores = {
        "ari": "ARI of classes",
        "w_logistic": "condition from w, logistic",
        "w_svm": "condition from w, linear SVM",
        "z_logistic": "condition from z, logistic",
    }
    lines = []
    for prior, own in frame.groupby("style_prior"):
        cells = []
        for key in scores:
            cells.append(f"{number(own[key].mean())} ({number(own[key].min())})")
        seconds = number(own["seconds"].mean(), 0)
        lines.append([f"`{prior}`", str(own["seed"].nunique()), *cells, seconds])
    text = (
        "Five classes × two conditions × 350 cells in 16 real dimensions. ARI of the clusters "
        "with the classes, K given; balanced accuracy of the condition, predicted by 5-fold "
        "cross-validation from the style w and from the latent z (.5 is chance). "
        "Mean (lowest) over seeds."
    )
    table = markdown(["p(w given c)", "seeds", *scores.values(), "seconds"], lines)
    return "\n\n".join(["# Simulated classes under two conditions", text, table]) + "\n"
