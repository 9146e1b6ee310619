"""The page about clustering of cells: K given and automatic apart, each with differences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from benchmarks.markdown import NONE, extent, markdown, number
from benchmarks.sets import FIVE, in_order, short
from benchmarks.store import Row

OURS = ("cgmdvae", "rmve")
MAIN = {True: OURS, False: tuple(f"{name}_auto" for name in OURS)}
TITLES = {True: "K given", False: "Number of clusters found by the method"}
COVARIATES = {"batch_key": "batch", "condition_key": "condition"}


def is_ours(method: str) -> bool:
    """Whether a method is one of mixvi's, by the embedding its name begins with."""
    return any(method == name or method.startswith(f"{name}_") for name in OURS)


def mean_over(values: pd.Series, sets: Sequence[str]) -> float:
    """Mean over sets, NaN if one of them is missing."""
    return float(values.reindex(list(sets)).mean(skipna=False)) if len(sets) else math.nan


def score_table(rows: pd.DataFrame) -> str:
    """Methods × data sets: ARI as mean over seeds, then summaries over the sets.

    A mean over sets is left out for a method that did not run on all of them. Methods are sorted
    by the mean over all sets, then by that over the sets that they have.
    """
    sets = in_order(set(rows["set"]))
    five = FIVE if set(FIVE) <= set(sets) else ()
    lines: list[tuple[tuple[float, float], list[str]]] = []
    for method, own in rows.groupby("method"):
        by_set = own.groupby("set")
        mean = by_set["ari"].mean()
        overall = mean_over(mean, sets)
        ratio = by_set["n_clusters"].mean() / by_set["k"].first()
        calibration = by_set["ece"].mean() if "ece" in own else pd.Series(dtype=float)
        cells = [
            f"`{method}`",
            extent(by_set["seed"].nunique()),
            *(number(float(mean.get(name, math.nan))) for name in sets),
            number(mean_over(mean, five)),
            number(overall),
            number(float((mean - by_set["ari"].min())[by_set["seed"].nunique() > 1].max())),
            *(number(mean_over(by_set[key].mean(), sets)) for key in ("nmi", "acc")),
            number(mean_over(ratio, sets), 2),
            number(mean_over(calibration, sets)),
            number(float(own["seconds"].median()), 0),
        ]
        known = -math.inf if math.isnan(overall) else overall
        lines.append(((known, float(mean.mean())), cells))
    lines.sort(key=lambda line: line[0], reverse=True)
    summaries = [
        "five sets",
        "all sets",
        "worst seed",
        "NMI",
        "ACC",
        "clusters / K",
        "ECE",
        "seconds",
    ]
    header = ["method", "seeds", *(short(name) for name in sets), *summaries]
    return markdown(header, [cells for _, cells in lines])


@dataclass(frozen=True)
class Difference:
    """Difference of two methods, paired by data set; NaN where there are too few sets.

    Attributes
    ----------
    mean, error
        Mean over the sets and its standard error.
    won, n_sets
        Sets with a difference above 0, and sets in all.
    seeds
        Seeds that both have run, per set.
    """

    mean: float
    error: float
    won: int
    n_sets: int
    seeds: pd.Series


def paired_difference(
    rows: pd.DataFrame, ours: str, other: str, score: str = "ari"
) -> Difference | None:
    """Compare two methods; the unit is the data set.

    Seeds are averaged first, over the seeds that both have run.

    Parameters
    ----------
    rows
        One row per set, method and seed.
    ours, other
        Names of the methods; the difference is ``ours − other``.
    score
        Column that is compared.

    Returns
    -------
    Difference or None
        ``None`` if there is no set and seed that both have run.
    """
    wide = rows[rows["method"].isin([ours, other])].pivot_table(
        index=["set", "seed"], columns="method", values=score
    )
    both = wide.reindex(columns=[ours, other]).dropna().groupby("set")
    means = both.mean()
    if means.empty:
        return None
    difference = means[ours] - means[other]
    n_sets = len(difference)
    error = float(difference.std(ddof=1)) / math.sqrt(n_sets) if n_sets > 1 else math.nan
    won = int((difference > 0).sum())
    return Difference(float(difference.mean()), error, won, n_sets, both.size())


def difference_table(rows: pd.DataFrame, ours: Sequence[str]) -> str:
    """Each of mixvi's main methods minus each baseline, mean ± standard error over the sets."""
    names = set(rows["method"])
    ours = [name for name in ours if name in names]
    if not ours:
        return "No mixvi rows yet: paired differences appear here once they have run."
    lines = []
    for other in sorted(name for name in names if not is_ours(name)):
        cells = [f"`{other}`"]
        for mine in ours:
            found = paired_difference(rows, mine, other)
            cells += (
                [NONE] * 3
                if found is None
                else [
                    f"{found.mean:+.3f} ± {number(found.error)}",
                    f"{found.won} of {found.n_sets}",
                    extent(found.seeds),
                ]
            )
        lines.append(cells)
    header = ["ARI difference to"]
    for mine in ours:
        header += [f"`{mine}`: mean ± SE over sets", "sets won", "seeds"]
    return markdown(header, lines)


def set_table(rows: pd.DataFrame) -> str:
    """What the sets are: sizes, K and covariates."""
    lines = []
    for name in in_order(set(rows["set"])):
        own = rows[rows["set"] == name]
        first = own.iloc[0]
        scored = own["n_labeled"].dropna() if "n_labeled" in own else own["n_cells"][:0]
        seen = {key for parameters in own["parameters"] for key in parameters}
        covariates = [label for key, label in COVARIATES.items() if key in seen]
        numbers = [first["n_cells"], int(scored.iloc[0]) if len(scored) else first["n_cells"]]
        lines.append(
            [
                short(name),
                f"`{name}`",
                *(f"{value:,}" for value in [*numbers, first["n_genes"]]),
                str(first["k"]),
                ", ".join(covariates) or NONE,
            ]
        )
    return markdown(["set", "file", "cells", "scored", "genes", "K", "covariates"], lines)


def budgets(rows: pd.DataFrame) -> list[str]:
    """What the trained peers were trained with, one sentence per kind."""
    scvi: set[tuple[str, int, int]] = set()
    clustpy: set[tuple[int, int]] = set()
    for method, p in zip(rows["method"], rows["parameters"], strict=True):
        if "n_epochs_kl_warmup" in p:
            scvi.add((method.split("_")[0], p["max_epochs"], p["n_epochs_kl_warmup"]))
        if "pretrain_epochs" in p:
            clustpy.add((p["pretrain_epochs"], p["clustering_epochs"]))
    text = []
    if scvi:
        trained = "; ".join(f"`{n}`: {e} epochs, KL warm-up over {w}" for n, e, w in sorted(scvi))
        text.append(
            "SCVI (negative binomial) and DRVI (32 dimensions) have their default architectures. "
            f"Training: {trained}; their own default would be 400 epochs for sets of this size."
        )
    for pretrain, clustering in sorted(clustpy):
        text.append(
            f"VaDE and IDEC (clustpy, layers 500–500–2000–10): {pretrain} epochs of pretraining "
            f"and {clustering} of clustering; clustpy's default is 100 and 150."
        )
    return text


def caption(rows: pd.DataFrame) -> str:
    """Say what was done, with the numbers that depend on the rows."""
    versions = sorted({f"{k} {v}" for row in rows["versions"] for k, v in row.items()})
    dates = sorted(str(date)[:10] for date in rows["date"])
    threads = sorted({str(n) for n in rows["torch_threads"]}) if "torch_threads" in rows else []
    text = [
        "All methods see the same cells and the same genes: 2,000 highly variable genes "
        "(scanpy's `seurat` flavor on log-normalized counts), or all genes of sets with at most "
        "2,100. Counts for the models, log1p of counts per 10,000 for PCA (50 components), VaDE "
        "and IDEC. Leiden: 15 neighbors, igraph flavor, two iterations; `leiden_matched` searches "
        "the resolution that gives K clusters, the nearest number if K is not reached. k-means: "
        "ten starts; `gmm`: a Gaussian mixture with full covariances, ten starts.",
        set_table(rows),
        "Batch and condition are given to the models that can correct for them: mixvi's, SCVI and "
        "DRVI. PCA, VaDE and IDEC cannot, and see none. Cells without a label are trained on and "
        "not scored. `pbmc_multistudy` contains cells of three other sets.",
        "ARI is the mean over seeds; *worst seed* is the largest distance of a seed below the mean "
        "of its set. *five sets* is the mean over the first five. ACC is the best one-to-one "
        "matching of clusters to classes (Hungarian); *clusters / K* the number found over the "
        "number of classes; ECE the calibration error of the confidence in that matching. A mean "
        "over sets is given where all have run. Seconds (median) include the embedding, and were "
        "taken on a shared machine: they are only indicative.",
        "Where the truth itself came from clustering principal components (pbmc3k, 10x PBMC "
        "4k), PCA is favored; the Zheng set was labeled by FACS, the zones of the villus by "
        "landmark genes.",
        *budgets(rows),
    ]
    on = f", {' or '.join(threads)} thread{'s' * (threads != ['1'])}" if threads else ""
    text.append(f"Run {dates[0]} to {dates[-1]}{on}, with {', '.join(versions)}.")
    return "\n\n".join(text)


def clustering_page(rows: Sequence[Row]) -> str:
    """Write the page."""
    frame = pd.DataFrame(rows)
    parts = ["# Clustering of cells", caption(frame)]
    for given, title in TITLES.items():
        part = frame[frame["k_given"] == given]
        if len(part):
            parts += [f"## {title}", score_table(part), difference_table(part, MAIN[given])]
    return "\n\n".join(parts) + "\n"
