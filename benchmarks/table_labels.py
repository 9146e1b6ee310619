"""The page about naming cells from labels of others."""

from collections.abc import Sequence

import pandas as pd

from benchmarks.markdown import NONE, markdown, number
from benchmarks.sets import in_order, short
from benchmarks.store import Row

TEXT = (
    "Accuracy (macro-F1) on cells without a label, mean over seeds, and the share of cells that "
    "mixvi calls `novel`, which count as wrong. *all*: all cells but a fifth of each type have "
    "their label, and mixvi does not see that fifth in training. Numbers: labeled cells of each "
    "type; the others are trained on without. Cells were drawn at random from the whole set, so "
    "train and test share batches."
)


def labels_page(rows: Sequence[Row]) -> str:
    """Write the page: one table per set, a line per method, a column per number of labels."""
    frame = pd.DataFrame(rows)
    parts = ["# Labels", TEXT]
    counts = [n for n in ("all", "20", "6", "3", "1") if n in set(frame["n_each"])]
    for name in in_order(set(frame["set"])):
        lines = []
        for method, own in frame[frame["set"] == name].groupby("method"):
            line = [f"`{method}`"]
            for n in counts:
                at = own[own["n_each"] == n]
                if at.empty:
                    line.append(NONE)
                    continue
                new = f", {number(at['new'].mean())} new" if at["new"].any() else ""
                scores = f"{number(at['accuracy'].mean())} ({number(at['macro_f1'].mean())})"
                line.append(f"{scores}{new}")
            line.append(str(own["seed"].nunique()))
            lines.append(line)
        table = markdown(["method", *counts, "seeds"], lines)
        parts += [f"## {short(name)}", table]
    return "\n\n".join(parts) + "\n"
