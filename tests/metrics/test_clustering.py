from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from mixvi import metrics

SCORES = [
    metrics.adjusted_rand_index,
    metrics.normalized_mutual_info,
    metrics.hungarian_accuracy,
    metrics.purity,
    metrics.n_captured,
]
cells = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@pytest.mark.law
@given(cells, st.permutations(range(5)), st.permutations(range(5)))
@settings(max_examples=50, deadline=None)
def test_names_do_not_matter(pairs, new_label, new_cluster):
    labels, clusters = np.array(pairs).T
    before = metrics.clustering_scores(labels, clusters)
    after = metrics.clustering_scores(
        [f"type {new_label[k]}" for k in labels], np.array(new_cluster)[clusters]
    )
    assert after == pytest.approx(before)


@pytest.mark.law
@pytest.mark.parametrize("n_classes", [1, 2, 30])
def test_equal_partitions_are_perfect(n_classes):
    labels = np.arange(n_classes).repeat(2)
    scores = metrics.clustering_scores(labels, [f"c{k}" for k in labels])
    assert scores == {
        "ari": 1.0,
        "nmi": pytest.approx(1.0),
        "acc": 1.0,
        "purity": 1.0,
        "captured": n_classes,
        "n_clusters": n_classes,
    }


@pytest.mark.law
@given(cells)
@settings(max_examples=50, deadline=None)
def test_accuracy_is_the_best_of_all_namings(pairs):
    labels, clusters = np.array(pairs).T
    table = metrics.contingency(labels, clusters).to_numpy()
    square = np.zeros((5, 5), dtype=int)
    square[: table.shape[0], : table.shape[1]] = table
    best = max(square[range(5), naming].sum() for naming in permutations(range(5)))
    assert metrics.hungarian_accuracy(labels, clusters) == pytest.approx(best / len(pairs))


@pytest.mark.law
@given(cells)
@settings(max_examples=50, deadline=None)
def test_bounds_and_order(pairs):
    labels, clusters = np.array(pairs).T
    scores = metrics.clustering_scores(labels, clusters)
    largest_class = np.bincount(labels).max() / len(labels)
    assert 0 < scores["acc"] <= scores["purity"] <= 1
    assert scores["purity"] >= largest_class
    assert scores["captured"] <= min(scores["n_clusters"], len(set(labels)))
    assert scores["ari"] <= 1 + 1e-12
    assert -1e-12 <= scores["nmi"] <= 1 + 1e-12


@pytest.mark.law
def test_one_cell_per_cluster_is_pure():
    labels = ["a", "a", "b", "b"]
    assert metrics.purity(labels, range(4)) == 1
    assert metrics.hungarian_accuracy(labels, range(4)) == 0.5


@pytest.mark.law
def test_unrelated_partitions_score_zero():
    labels, clusters = np.divmod(np.arange(100), 10)
    assert metrics.normalized_mutual_info(labels, clusters) == pytest.approx(0, abs=1e-12)
    assert metrics.adjusted_rand_index(labels, clusters) < 0


def test_scikit_learn_agrees():
    rng = np.random.default_rng(0)
    labels, clusters = rng.integers(4, size=200), rng.integers(7, size=200)
    assert metrics.adjusted_rand_index(labels, clusters) == adjusted_rand_score(labels, clusters)
    assert metrics.normalized_mutual_info(labels, clusters) == pytest.approx(
        normalized_mutual_info_score(labels, clusters)
    )


def test_captured_by_hand():
    labels = list("aaab" + "aab" + "cd")
    clusters = [0] * 4 + [1] * 3 + [2] * 2
    # a twice, b never, c and d tie.
    assert metrics.n_captured(labels, clusters) == 1
    assert metrics.n_captured([*labels, "d"], [*clusters, 2]) == 2


def test_contingency_by_hand():
    table = metrics.contingency(
        ["B", "B", "T10", "T2", "T2", "T2"], ["10", "2", "10", "2", "1", "1"]
    )
    assert list(table.index) == ["1", "2", "10"]
    assert list(table.columns) == ["B", "T2", "T10"]
    np.testing.assert_array_equal(table, [[0, 2, 0], [1, 1, 0], [1, 0, 1]])


def test_contingency_orders_numbers_by_value():
    table = metrics.contingency([0.5, -2.0, 10.0], [np.int64(10), -1, 2])
    assert list(table.columns) == [-2.0, 0.5, 10.0]
    assert list(table.index) == [-1, 2, 10]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("as_categorical", [False, True])
def test_missing_labels_are_left_out(missing, as_categorical):
    labels = pd.Series(["a", missing, "b", "b", missing, "a"], dtype=object)
    clusters = pd.Series([0, 5, 1, 0, np.nan, 0], index=list("uvwxyz"))
    if as_categorical:
        labels = labels.astype("category")
    kept = ["a", "b", "b", "a"], [0, 1, 0, 0]
    for score in SCORES:
        assert score(labels, clusters) == score(*kept)
    assert metrics.clustering_scores(labels, clusters) == metrics.clustering_scores(*kept)
    assert metrics.contingency(labels, clusters).shape == (2, 2)


def test_unused_categories_are_no_classes():
    labels = pd.Categorical(["a", "b"], categories=["a", "b", "c"])
    clusters = pd.Categorical(["0", "1"], categories=["0", "1", "2"])
    assert metrics.contingency(labels, clusters).shape == (2, 2)
    assert metrics.clustering_scores(labels, clusters)["n_clusters"] == 2


@pytest.mark.parametrize("score", [*SCORES, metrics.contingency, metrics.clustering_scores])
def test_bad_input(score):
    with pytest.raises(ValueError, match="found 3 and 2"):
        score(["a", "b", "c"], [0, 1])
    with pytest.raises(ValueError, match="found none among 2"):
        score([None, np.nan], [0, 1])
    with pytest.raises(ValueError, match="found 1 without"):
        score(["a", "b", None], [0, np.nan, np.nan])


def test_inputs_are_not_changed():
    labels = pd.Series(["a", None, "b"])
    clusters = np.array([2, 1, 0])
    before = labels.copy()
    metrics.clustering_scores(labels, clusters)
    pd.testing.assert_series_equal(labels, before)
    np.testing.assert_array_equal(clusters, [2, 1, 0])
