"""From JSON rows to markdown: ``python -m benchmarks.table`` writes every table anew."""

import argparse
import logging
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.store import Row, read_rows

logger = logging.getLogger(__name__)

RESULTS = Path("benchmarks/results")
OURS = ("cgmdvae",)
SCORES = {"nmi": "NMI", "acc": "ACC", "purity": "purity", "captured": "captured"}
NONE = "–"


def number(value: float, digits: int = 3) -> str:
    """Format with fixed digits, or a dash if the value is not known."""
    return NONE if math.isnan(value) else f"{value:.{digits}f}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown table, first column to the left and the others to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *rows])


def is_ours(method: str) -> bool:
    """Whether a method is one of mixvi's, by the embedding its name begins with."""
    return any(method == name or method.startswith(f"{name}_") for name in OURS)


def score_table(rows: pd.DataFrame) -> str:
    """Methods × data sets: ARI as mean (worst) over seeds, then means over the sets.

    A mean over the sets is left out for a method that did not run on all of them. Methods are
    sorted by that mean of the ARI.
    """
    sets = sorted(rows["set"].unique())
    lines: list[tuple[float, list[str]]] = []
    for method, own in rows.groupby("method"):
        by_set = own.groupby("set")
        mean, worst = by_set["ari"].mean(), by_set["ari"].min()
        complete = len(mean) == len(sets)
        overall = float(mean.mean()) if complete else math.nan
        cells = [
            f"{number(mean[s])} ({number(worst[s])})" if s in mean.index else NONE for s in sets
        ]
        others = [
            number(float(by_set[key].mean().mean()) if complete else math.nan) for key in SCORES
        ]
        counts = by_set["seed"].nunique()
        seeds = (
            str(counts.max()) if counts.min() == counts.max() else f"{counts.min()}–{counts.max()}"
        )
        found = ", ".join(
            number(float(by_set["n_clusters"].mean()[s]), 1) if s in mean.index else NONE
            for s in sets
        )
        seconds = number(float(by_set["seconds"].mean().mean()) if complete else math.nan, 0)
        lines.append(
            (
                -math.inf if math.isnan(overall) else overall,
                [f"`{method}`", seeds, *cells, number(overall), *others, found, seconds],
            )
        )
    lines.sort(key=lambda line: -line[0])
    header = ["method", "seeds", *[f"ARI {s}" for s in sets], "ARI, mean of sets"]
    return markdown(
        [*header, *SCORES.values(), "clusters per set", "seconds"], [cells for _, cells in lines]
    )


def paired_difference(
    rows: pd.DataFrame, ours: str, other: str, score: str = "ari"
) -> tuple[float, float, int, int]:
    """Difference of two methods, paired by data set.

    The unit is the data set: seeds are averaged first, over the seeds that both have run.

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
    mean, standard_error, won, n_sets
        NaN where there are too few sets; ``won`` counts differences above 0.
    """
    wide = rows.pivot_table(index=["set", "seed"], columns="method", values=score)
    both = wide[[ours, other]].dropna().groupby("set").mean()
    difference = both[ours] - both[other]
    n_sets = len(difference)
    error = float(difference.std(ddof=1)) / math.sqrt(n_sets) if n_sets > 1 else math.nan
    return float(difference.mean()), error, int((difference > 0).sum()), n_sets


def difference_table(rows: pd.DataFrame) -> str:
    """Each mixvi method minus each baseline, mean ± standard error over the sets."""
    names = sorted(rows["method"].unique())
    ours, others = [m for m in names if is_ours(m)], [m for m in names if not is_ours(m)]
    if not ours:
        return "No mixvi rows yet: paired differences appear here once they have run."
    lines = []
    for mine in ours:
        for other in others:
            mean, error, won, n_sets = paired_difference(rows, mine, other)
            shown = NONE if math.isnan(mean) else f"{mean:+.3f} ± {number(error)}"
            lines.append([f"`{mine}` − `{other}`", shown, f"{won} of {n_sets}"])
    return markdown(["ARI difference", "mean ± SE over sets", "sets won"], lines)


def caption(rows: pd.DataFrame) -> str:
    """Say what was done, with the numbers that depend on the rows."""
    sizes = rows.groupby("set")[["n_cells", "n_genes", "k"]].first()
    sets = "; ".join(
        f"{name}: {row.n_cells} cells × {row.n_genes} genes, K = {row.k}"
        for name, row in sizes.iterrows()
    )
    budgets = {
        (m.split("_")[0], p["max_epochs"], p["n_epochs_kl_warmup"])
        for m, p in zip(rows["method"], rows["parameters"], strict=True)
        if "max_epochs" in p and not is_ours(m)
    }
    trained = "; ".join(
        f"`{name}`: {epochs} epochs, KL warm-up over {warmup}"
        for name, epochs, warmup in sorted(budgets)
    )
    versions = sorted({f"{k} {v}" for row in rows["versions"] for k, v in row.items()})
    text = [
        "All methods see the same cells and the same genes: 2,000 highly variable genes "
        "(scanpy's `seurat` flavor on log-normalized counts), or all genes of sets with at most "
        "2,100. Counts for the models, log1p of counts per 10,000 for PCA (50 components). "
        "Leiden: 15 neighbors, igraph flavor, two iterations; `leiden_matched` searches the "
        "resolution that gives K clusters, the nearest number if K is not reached. k-means: ten "
        "starts.",
        f"Sets: {sets}.",
        "ARI is mean (worst) over seeds. ACC is the best one-to-one matching of clusters to "
        "classes (Hungarian); purity grows with the number of clusters and is no accuracy. "
        "Seconds include the embedding, and were taken on a shared machine: they are only "
        "indicative.",
        "Where the truth itself came from clustering principal components (pbmc3k, 10x PBMC "
        "4k), PCA is favored; the Zheng set was labeled by FACS.",
    ]
    if trained:
        text.append(
            f"SCVI (default architecture, negative binomial), training: {trained}. `scvi<N>` has "
            "N epochs in place of scvi's default, to save time; the default length is there for "
            "comparison, with the seeds and sets that the tables show."
        )
    dates = sorted(str(date)[:10] for date in rows["date"])
    text.append(f"Run {dates[0]} to {dates[-1]} with {', '.join(versions)}.")
    return "\n\n".join(text)


def clustering_page(rows: Sequence[Row]) -> str:
    """Write the page about clustering: K given and automatic apart, each with differences."""
    frame = pd.DataFrame(rows)
    parts = ["# Clustering of cells", caption(frame)]
    for given, title in ((True, "K given"), (False, "Number of clusters found by the method")):
        part = frame[frame["k_given"] == given]
        if len(part):
            parts += [f"## {title}", score_table(part), difference_table(part)]
    return "\n\n".join(parts) + "\n"


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


PAGES = {"clustering": clustering_page, "conditional": conditional_page}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder [%(default)s]")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name, page in PAGES.items():
        rows = read_rows(options.results / f"{name}.json")
        if rows:
            target = options.results / f"{name}.md"
            target.write_text(page(rows), encoding="utf-8")
            logger.info("wrote %s from %d rows", target, len(rows))


if __name__ == "__main__":
    main()
