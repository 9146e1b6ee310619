"""The page about speed and memory."""

import re
from collections.abc import Sequence

import pandas as pd

from benchmarks.markdown import NONE, markdown, number
from benchmarks.store import Row

EXPLAINED = {
    "training": (
        "Training",
        "Cells per second, against `SCVI.train` in the same round: one hidden layer of 128 units, "
        "10 latent dimensions, negative binomial counts. Ours trains its mixture of ten components "
        "from the first epoch on, and not under N(0, I) as in the first 60 % of a run. An epoch's "
        "cost is the difference of a run of three and a run of one.",
    ),
    "inference": (
        "Latent and clusters",
        "`model.annotate()`, which writes the latent space, clusters, their probabilities, "
        "confidence and novelty, against `SCVI.get_latent_representation()`, which gives the "
        "latent space alone. *Defaults*: each with mini-batches as large as it takes when not "
        "told, 1,024 cells and 128.",
    ),
    "quality": (
        "Time to clusters as good",
        "Seconds from counts to clusters, on cells with known types, against `SCVI` as long as it "
        "trains by default, neighbors and Leiden at the resolution that finds as many clusters as "
        "there are types. Ours is the first of four runs, with an eighth, a quarter, half and all "
        "of the epochs of the default recipe, whose ARI is as high "
        "(`python -m benchmarks.quality --data DIR`).",
    ),
    "components": (
        "Many components",
        "How many times longer an epoch takes with many components than with few, at 128 cells a "
        "step.",
    ),
    "growth": (
        "Many cells",
        "Slope of the seconds of an epoch over the number of cells, both on log scales: 1 means "
        "that a cell costs the same.",
    ),
    "labels": (
        "Clusters of encoded cells",
        "Seconds from latent means to clusters, 30 components.",
    ),
    "memory": (
        "Memory",
        "Largest memory of a process that reads the cells from a file and trains one epoch, beyond "
        "what it has after a small run, in sizes of the compressed count matrix.",
    ),
}


def speed_page(rows: Sequence[Row]) -> str:
    """Write the page about speed, one table for everything that was measured."""
    frame = pd.DataFrame(rows)
    for column in ("cells_per_second", "low", "high", "cpu_ratio", "ratio"):
        if column not in frame:
            frame[column] = float("nan")
    first = frame.iloc[0]
    parts = [
        "# Speed and memory",
        f"{first['source']} cells, on a {first['on'].upper()}, {first['threads']} thread(s) of "
        "torch. The machine is shared: seconds are worth little, the ratios of one round are "
        "comparable (median, and in brackets lowest to highest of the rounds). "
        "`python -m benchmarks.speed` makes these figures, after it has checked that both count "
        "the same likelihood and gradients.",
    ]
    for what, (title, text) in EXPLAINED.items():
        own = frame[frame["what"] == what]
        if len(own):
            parts += [f"## {title}", text, _table(what, own)]
    return "\n\n".join(parts) + "\n"


def _table(what: str, own: pd.DataFrame) -> str:
    if what in ("training", "inference"):
        header = ["setting", "method", "cells per second", "× SCVI", "× SCVI, processor time"]
        lines = []
        own = own.assign(size=own["setting"].map(_numbers))
        for _, row in own.sort_values(["size", "ratio"]).iterrows():
            extent = f" ({number(row['low'], 1)}–{number(row['high'], 1)})"
            ours = row["method"] != "SCVI"
            lines.append(
                [
                    row["setting"],
                    row["method"],
                    f"{row['cells_per_second']:,.0f}",
                    number(row["ratio"], 1) + extent if ours else NONE,
                    number(row["cpu_ratio"], 1) if ours else NONE,
                ]
            )
        return markdown(header, lines)
    if what == "quality":
        header = ["cells", "method", "ARI", "epochs", "seconds", "× faster", "processor time"]
        lines = [
            [
                row["setting"],
                "SCVI + Leiden" if row["method"] == "SCVI" else row["method"],
                number(row["ari"], 3),
                NONE if row["method"] == "SCVI" else f"{100 * row['share']:g} %",
                number(row["seconds"], 0),
                *_times_faster(row),
            ]
            for _, row in own.iloc[_reference_first(own)].iterrows()
        ]
        return markdown(header, lines)
    if what in ("components", "growth"):
        figure = {"components": "times", "growth": "slope"}[what]
        lines = [
            [row["setting"], row["method"], number(row["ratio"], 2), number(row["cpu_ratio"], 2)]
            for _, row in own.iterrows()
        ]
        return markdown(["setting", "method", figure, f"{figure}, processor time"], lines)
    figure = {"labels": "seconds", "memory": "times"}
    column = "seconds" if what == "labels" else "ratio"
    lines = [[row["setting"], row["method"], number(row[column], 2)] for _, row in own.iterrows()]
    return markdown(["setting", "method", figure[what]], lines)


def _times_faster(row: pd.Series) -> list[str]:
    if row["method"] == "SCVI":
        return [NONE, NONE]
    if not row["reached"]:
        return ["not as good", NONE]
    return [number(row["ratio"], 1), number(row["cpu_ratio"], 1)]


def _reference_first(own: pd.DataFrame) -> list[int]:
    """Positions of the rows, those of a set together."""
    names = list(zip(own["setting"], own["method"] != "SCVI", own["method"], strict=True))
    return sorted(range(len(names)), key=names.__getitem__)


def _numbers(setting: str) -> tuple[int, ...]:
    """The numbers in a name: what was measured on fewer cells comes first."""
    return tuple(int(part.replace(",", "")) for part in re.findall(r"[\d,]*\d", setting))
