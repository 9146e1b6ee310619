"""Plain words: each is said where it is true, and not where it is not."""

import numpy as np
import pandas as pd
import pytest
from tests.report.cells import EPOCHS, annotated
from tests.report.page import parse

from mixvi.report import write_report


def kinds(adata, tmp_path) -> tuple[list[str], str]:
    write_report(adata, tmp_path / "page.html")
    page = parse(tmp_path / "page.html")
    return [a["data-kind"] for a in page.every("li") if "data-kind" in a], page.words[""]


def few(adata):
    return adata[np.r_[0:300:3, 1:300:3, 2:50:3]].copy()


def one_batch(adata):
    adata.obs["donor"] = np.where(adata.obs["cgmdvae"] == "B", "d1", adata.obs["donor"])
    adata.obs["donor"] = np.where(adata.obs["cgmdvae"] == "NK", "d2", adata.obs["donor"])


def unsure(adata):
    adata.obs["cgmdvae_confidence"] = np.where(adata.obs["cgmdvae"] == "B", 0.4, 0.95)


def unmixed(adata):
    adata.obsm["X_cgmdvae"][:, 3] += 50 * (adata.obs["donor"] == "d1").to_numpy()


def novel(adata):
    adata.obs["cgmdvae_novel"] = (adata.obs["cgmdvae"] == "B").to_numpy()


def unsettled(adata):
    falling = 800 - 5.0 * np.arange(EPOCHS)
    adata.uns["cgmdvae"]["history"] = {"elbo_train": falling, "elbo_validation": falling}


def alone(adata):
    return adata[adata.obs["cgmdvae"] == "B"].copy()


def unstable(adata):
    adata.uns["cgmdvae_stability"] = pd.DataFrame({"stability": {"T": 0.9, "B": 0.3, "NK": 0.7}})


def shallow(adata):
    X = adata.X.toarray()
    X[(adata.obs["cgmdvae"] == "B").to_numpy()] //= 9
    X[:, -1] += 1
    adata.X = X


def deep(adata):
    X = adata.X.toarray()
    X[(adata.obs["cgmdvae"] == "B").to_numpy()] *= 4
    adata.X = X


def scaled(adata):
    adata.X = adata.X.multiply(0.3).tocsr()


def confounded(adata):
    adata.obs["donor"] = "d" + adata.obs["cgmdvae"].astype(str)


def noise(adata):
    adata.obsm["cgmdvae_probs"][:] = [0.4, 0.3, 0.3]


CASES = {
    "confounded": (confounded, "Clusters and donor are confounded: a cell's cluster tells 99%"),
    "none": (noise, "a cell tells 0% of what there is to know"),
    "small": (few, "Few cells are in cluster NK"),
    "batch": (
        one_batch,
        "2 clusters consist almost entirely of one batch of donor: B (d1); NK (d2)",
    ),
    "confidence": (unsure, "unsure about cluster B (mean"),
    "mixing": (unmixed, "cells keep to their own donor"),
    "novelty": (novel, "33% of the cells look unlike"),
    "training": (unsettled, "may have stopped too early"),
    "one": (alone, "All cells are in one cluster"),
    "stability": (unstable, "do not find cluster B again"),
    "shallow": (shallow, "cluster B have less than a third"),
    "deep": (deep, "cluster B have more than 2.5 times"),
    "counts": (scaled, "does not hold the counts"),
}


def test_nothing_to_say(tmp_path):
    found, words = kinds(annotated(), tmp_path)
    assert found == []
    assert "Nothing stood out" in words


@pytest.mark.parametrize("kind", CASES)
def test_said_where_it_is_true(kind, tmp_path):
    change, sentence = CASES[kind]
    adata = annotated()
    changed = change(adata)
    found, words = kinds(adata if changed is None else changed, tmp_path)
    expected = {
        "confidence": ["confidence", "unsure"],
        "batch": ["batch", "confounded"],
        "confounded": ["batch", "confounded"],
    }.get(kind, [kind])
    assert found == expected
    assert sentence in words
