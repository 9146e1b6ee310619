"""The page about label transfer and unseen types."""

from collections.abc import Sequence

import pandas as pd

from benchmarks.markdown import extent, markdown, number
from benchmarks.store import Row

NOTHING = "nothing"


def mapping_page(rows: Sequence[Row]) -> str:
    """Write one table of label transfer and one of unseen types, settings side by side."""
    frame = pd.DataFrame(rows)
    for name in ("auroc", "false_alarms", "found"):
        if name not in frame:
            frame[name] = float("nan")
    settings = list(dict.fromkeys(frame["setting"]))
    whole, left_out = (frame[(frame["left_out"] == NOTHING) == flag] for flag in (True, False))
    parts = [
        "# Label transfer and unseen types",
        "Queries are studies that the reference lacks (`pbmc3k`, `zheng`) or two donors out of "
        "eight (`donors`); cells of one experiment are never in both. Genes are chosen on the "
        "reference.",
    ]
    if len(whole):
        header = ["method", "seeds"]
        for setting in settings:
            header += [f"{setting} macro-F1", "accuracy", "false alarms"]
        lines = []
        for method, own in whole.groupby("method"):
            line = [f"`{method}`", extent(own.groupby("setting")["seed"].nunique())]
            for setting in settings:
                here = own[own["setting"] == setting]
                line += [
                    number(here[name].mean()) for name in ("macro_f1", "accuracy", "false_alarms")
                ]
            lines.append(line)
        parts += [
            "## Nothing unseen",
            "Means over seeds. *false alarms*: share of cells that the method calls new, at a "
            "stated rate of .05; only for methods with a threshold of their own.",
            markdown(header, lines),
        ]
    if len(left_out):
        header = ["method", "types", "seeds", *(f"{setting} AUROC" for setting in settings)]
        header += ["mean of all", "worst type", "found"]
        lines = []
        for method, own in left_out.groupby("method"):
            types = own.groupby(["setting", "left_out"])
            by_type = types["auroc"].mean()
            means = [
                by_type[setting].mean() if setting in by_type.index else float("nan")
                for setting in settings
            ]
            lines.append(
                [
                    f"`{method}`",
                    str(len(by_type)),
                    extent(types["seed"].nunique()),
                    *(number(mean) for mean in means),
                    number(by_type.mean()),
                    number(by_type.min()),
                    number(own["found"].mean()),
                ]
            )
        parts += [
            "## A type left out of the reference",
            "Each type in turn. AUROC of its cells against the others, by the method's novelty; "
            "*found*: share of its cells that is called new at a stated rate of .05.",
            markdown(header, lines),
        ]
    return "\n\n".join(parts) + "\n"
