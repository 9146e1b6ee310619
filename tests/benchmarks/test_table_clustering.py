import math

import numpy as np
import pandas as pd
import pytest
from benchmarks.sets import FIVE

from benchmarks import table_clustering as table

K_GIVEN, AUTO = table.MAIN[True], table.MAIN[False]


def row(dataset, method, seed, ari, *, k_given=True, **more):
    parameters = {}
    if "scvi" in method:
        parameters = {"max_epochs": 7, "n_epochs_kl_warmup": 3, "batch_key": "batch"}
    if method == "vade":
        parameters = {"pretrain_epochs": 5, "clustering_epochs": 6}
    return {
        "set": dataset,
        "method": method,
        "seed": seed,
        "ari": ari,
        **dict.fromkeys(("nmi", "acc", "purity"), 0.5),
        "captured": 4.0,
        "n_clusters": 6.0,
        "k": 5,
        "k_given": k_given,
        "seconds": 2.0,
        "n_cells": 1000,
        "n_labeled": 900,
        "n_genes": 20,
        "parameters": parameters,
        "versions": {"scanpy": "1.0"},
        "date": "2026-01-01T00:00:00+00:00",
        "torch_threads": 1,
    } | more


def columns(text, name):
    """Cells of one line by the names in the header."""
    header, _, *lines = (line.strip("| ").split(" | ") for line in text.splitlines())
    return dict(zip(header, next(cells for cells in lines if cells[0] == name), strict=True))


@pytest.fixture
def rows():
    ours = {"s": (0.8, 0.6), "t": (0.9, 0.9), "u": (0.5, 0.5)}
    base = {"s": (0.5, 0.5), "t": (0.6, 0.6), "u": (0.6, 0.6)}
    return [
        row(name, method, seed, ari)
        for method, values in (("cgmdvae", ours), ("pca_kmeans", base))
        for name, pair in values.items()
        for seed, ari in enumerate(pair)
    ]


def test_difference_is_paired_by_set(rows):
    found = table.paired_difference(pd.DataFrame(rows), "cgmdvae", "pca_kmeans")
    expected = np.array([0.2, 0.3, -0.1])
    assert found.mean == pytest.approx(expected.mean())
    assert found.error == pytest.approx(expected.std(ddof=1) / math.sqrt(3))
    assert (found.won, found.n_sets) == (2, 3)
    assert list(found.seeds) == [2, 2, 2]


def test_difference_uses_only_what_both_have_run(rows):
    kept = [r for r in rows if r["method"] == "cgmdvae" or (r["set"], r["seed"]) == ("s", 0)]
    found = table.paired_difference(pd.DataFrame(kept), "cgmdvae", "pca_kmeans")
    assert found.mean == pytest.approx(0.3)
    assert math.isnan(found.error)
    assert (found.won, found.n_sets, list(found.seeds)) == (1, 1, [1])


def test_no_difference_of_methods_that_share_no_run(rows):
    apart = [*rows, row("v", "idec", 0, 0.5)]
    assert table.paired_difference(pd.DataFrame(apart), "cgmdvae", "idec") is None
    assert columns(table.difference_table(pd.DataFrame(apart), K_GIVEN), "`idec`")["seeds"] == "–"


def test_only_main_methods_are_compared_with_baselines(rows):
    more = [row("s", name, 0, 0.4) for name in ("rmve", "cgmdvae_kmeans", "rmve_leiden_1")]
    text = table.difference_table(pd.DataFrame([*rows, *more]), K_GIVEN)
    assert text.count("\n") == 2  # header, rule and the one baseline
    found = columns(text, "`pca_kmeans`")
    assert found["`cgmdvae`: mean ± SE over sets"] == "+0.133 ± 0.120"
    assert found["`rmve`: mean ± SE over sets"] == "-0.100 ± –"


def test_scores_are_means_and_the_worst_seed_a_distance(rows):
    text = table.score_table(pd.DataFrame(rows))
    found = columns(text, "`cgmdvae`")
    assert (found["s"], found["t"], found["all sets"]) == ("0.700", "0.900", "0.700")
    assert found["worst seed"] == "0.100"
    assert found["clusters / K"] == "1.20"
    assert found["five sets"] == "–"
    single = columns(table.score_table(pd.DataFrame([row("s", "idec", 0, 0.5)])), "`idec`")
    assert single["worst seed"] == "–"
    assert text.splitlines()[2].startswith("| `cgmdvae`")
    assert len({line.count("|") for line in text.splitlines()}) == 1


def test_the_mean_of_five_sets_is_apart():
    rows = [row(name, "rmve", 0, 0.8, ece=0.25) for name in FIVE] + [row("s", "rmve", 0, 0.2)]
    found = columns(table.score_table(pd.DataFrame(rows)), "`rmve`")
    assert found["five sets"] == "0.800"
    assert found["all sets"] == "0.700"
    assert found["ECE"] == "–"  # one set has none
    assert list(found)[2:7] == ["zheng", "pbmc3k", "pbmc4k", "bladder", "worm"]


def test_no_mean_over_sets_for_a_method_that_missed_one(rows):
    kept = [r for r in rows if (r["method"], r["set"]) != ("pca_kmeans", "u")]
    found = columns(table.score_table(pd.DataFrame(kept)), "`pca_kmeans`")
    assert found["u"] == "–"
    assert found["all sets"] == "–"
    assert found["s"] == "0.500"


def test_seconds_are_the_median():
    rows = [row("s", "vade", seed, 0.5, seconds=t) for seed, t in enumerate((1, 3, 100))]
    assert columns(table.score_table(pd.DataFrame(rows)), "`vade`")["seconds"] == "3"


def test_sets_are_described_with_their_covariates(rows):
    rows += [row("pbmc3k", "scvi_kmeans", 0, 0.5)]
    text = table.set_table(pd.DataFrame(rows))
    found = columns(text, "pbmc3k")
    assert (found["cells"], found["scored"], found["covariates"]) == ("1,000", "900", "batch")
    assert columns(text, "s")["covariates"] == "–"


def test_rows_of_before_there_were_unlabeled_cells_still_count():
    old = row("s", "pca_kmeans", 0, 0.5)
    del old["n_labeled"]
    assert columns(table.set_table(pd.DataFrame([old])), "s")["scored"] == "1,000"


def test_page_keeps_k_given_and_automatic_apart(rows):
    rows += [row("s", "scvi_leiden_1", 0, 0.4, k_given=False), row("s", "vade", 0, 0.3)]
    given, automatic = table.clustering_page(rows).split("## Number of clusters")
    assert "`scvi_leiden_1`" in automatic
    assert "| `scvi_leiden_1`" not in given
    assert "No mixvi rows" in automatic
    rows += [row("s", "rmve_auto", 0, 0.5, k_given=False)]
    automatic = table.clustering_page(rows).split("## Number of clusters")[1]
    assert "`rmve_auto`: mean" in automatic
    assert "`scvi`: 7 epochs, KL warm-up over 3" in given
    assert "5 epochs of pretraining and 6 of clustering" in given
