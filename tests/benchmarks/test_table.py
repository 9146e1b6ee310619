import math

import numpy as np
import pandas as pd
import pytest
from benchmarks.store import add_row

from benchmarks import table


def row(dataset, method, seed, ari, *, k_given=True):
    return {
        "set": dataset,
        "method": method,
        "seed": seed,
        "ari": ari,
        **dict.fromkeys(("nmi", "acc", "purity"), 0.5),
        "captured": 4.0,
        "n_clusters": 5.0,
        "k": 5,
        "k_given": k_given,
        "seconds": 2.0,
        "n_cells": 100,
        "n_genes": 20,
        "parameters": {"max_epochs": 7, "n_epochs_kl_warmup": 3} if "scvi" in method else {},
        "versions": {"scanpy": "1.0"},
        "date": "2026-01-01T00:00:00+00:00",
    }


def line_of(text, name):
    return next(line for line in text.splitlines() if line.startswith(f"| {name}"))


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
    mean, error, won, n_sets = table.paired_difference(pd.DataFrame(rows), "cgmdvae", "pca_kmeans")
    expected = np.array([0.2, 0.3, -0.1])
    assert mean == pytest.approx(expected.mean())
    assert error == pytest.approx(expected.std(ddof=1) / math.sqrt(3))
    assert (won, n_sets) == (2, 3)


def test_difference_uses_only_what_both_have_run(rows):
    kept = [r for r in rows if r["method"] == "cgmdvae" or (r["set"], r["seed"]) == ("s", 0)]
    mean, error, won, n_sets = table.paired_difference(pd.DataFrame(kept), "cgmdvae", "pca_kmeans")
    assert mean == pytest.approx(0.3)
    assert math.isnan(error)
    assert (won, n_sets) == (1, 1)


def test_table_has_mean_worst_and_order(rows):
    text = table.score_table(pd.DataFrame(rows))
    assert "0.700 (0.600)" in line_of(text, "`cgmdvae`")
    lines = text.splitlines()
    assert lines[2].startswith("| `cgmdvae`")
    assert len({line.count("|") for line in lines}) == 1


def test_no_mean_over_sets_for_a_method_that_missed_one(rows):
    kept = [r for r in rows if (r["method"], r["set"]) != ("pca_kmeans", "u")]
    cells = line_of(table.score_table(pd.DataFrame(kept)), "`pca_kmeans`").split(" | ")
    assert cells[4] == table.NONE
    assert cells[5] == table.NONE


def test_page_keeps_k_given_and_automatic_apart(rows):
    rows += [row("s", "scvi_leiden_1", 0, 0.4, k_given=False)]
    given, automatic = table.clustering_page(rows).split("## Number of clusters")
    assert "`scvi_leiden_1`" in automatic
    assert "| `scvi_leiden_1`" not in given
    assert "No mixvi rows" in automatic
    assert "+0.133 ± 0.120" in given
    assert "`scvi`: 7 epochs, KL warm-up over 3" in given


def test_command_writes_pages_of_the_results_that_exist(tmp_path, rows):
    for one in rows:
        add_row(tmp_path / "clustering.json", one, ("set", "method", "seed"))
    table.main(["--results", str(tmp_path)])
    assert (tmp_path / "clustering.md").read_text(encoding="utf-8") == table.clustering_page(rows)
    assert not (tmp_path / "conditional.md").exists()


def test_conditional_page_has_one_line_per_prior():
    scores = {"ari": 1.0, "w_logistic": 0.9, "w_svm": 0.8, "z_logistic": 0.5, "seconds": 3.0}
    rows = [
        {"style_prior": prior, "seed": seed, **scores}
        for prior in ("learned", "standard")
        for seed in (0, 1)
    ]
    text = table.conditional_page(rows)
    assert "1.000 (1.000)" in line_of(text, "`learned`")
    assert "0.900 (0.900)" in line_of(text, "`standard`")
