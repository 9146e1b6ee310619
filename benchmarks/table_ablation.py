"""The page about what parts of the models do."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.markdown import extent, markdown, number
from benchmarks.sets import in_order, short
from benchmarks.store import Row


def ablation_page(rows: Sequence[Row]) -> str:
    """Write a table for each thing varied: settings × sets, ARI, components and separation."""
    frame = pd.DataFrame(rows).astype({"separation": float})
    model, _, varied = frame["setting"].str.partition(" ").to_numpy().T
    frame["title"] = np.where(pd.Series(varied).str.contains("lr="), model + ", steps", model)
    k_of = frame.groupby("set")["k"].first()
    k = ", ".join(f"{short(s)} {k_of[s]}" for s in in_order(set(frame["set"])))
    parts = [
        "# What the Dirichlet, the repulsion and the steps do",
        f"K given ({k}). ARI: mean (worst) over seeds. *used*: components with at least one cell, "
        "mean over seeds. *separation*: the smallest distance of two used components, "
        "‖(μ_k − μ_l) / σ‖ with σ² the mean of their variances; mean over seeds.",
    ]
    for title, part in frame.groupby("title"):
        sets = in_order(set(part["set"]))
        # in the order of the results file: None first, then by name and strength
        lines = [
            _line(own, str(setting), sets) for setting, own in part.groupby("setting", sort=False)
        ]
        lines.sort(key=lambda line: "None" not in line[0])
        header = ["setting", "seeds", *(f"ARI {short(s)}" for s in sets), "ARI, mean of sets"]
        header += [f"{what} {short(s)}" for what in ("used", "separation") for s in sets]
        parts += [f"## {title}", markdown(header, lines)]
    return "\n\n".join(parts) + "\n"


def _line(own: pd.DataFrame, setting: str, sets: Sequence[str]) -> list[str]:
    by_set = own.groupby("set")
    mean, worst = (by_set["ari"].agg(how).reindex(sets) for how in ("mean", "min"))
    used, apart = (by_set[key].mean().reindex(sets) for key in ("n_used", "separation"))
    return [
        f"`{setting.partition(' ')[2]}`",
        extent(by_set["seed"].nunique()),
        *(f"{number(m)} ({number(w)})" for m, w in zip(mean, worst, strict=True)),
        number(math.nan if mean.isna().any() else float(mean.mean())),
        *(number(value, 1) for value in used),
        *(number(value, 2) for value in apart),
    ]
