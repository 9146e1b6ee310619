import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixvi.metrics import (
    expected_calibration_error,
    hungarian_accuracy,
    matched_calibration,
)

cells = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


def by_definition(confidence, correct, n_bins):
    total = 0.0
    for m in range(n_bins):
        inside = (confidence > m / n_bins) & (confidence <= (m + 1) / n_bins)
        if m == 0:
            inside |= confidence == 0
        if inside.any():
            gap = correct[inside].mean() - confidence[inside].mean()
            total += inside.mean() * abs(gap)
    return total


@pytest.mark.law
@given(cells, st.integers(1, 20))
@settings(max_examples=100, deadline=None)
def test_is_its_definition(pairs, n_bins):
    confidence, correct = np.array(pairs, dtype=float).T
    found = expected_calibration_error(confidence, correct, n_bins)
    assert found == pytest.approx(by_definition(confidence, correct, n_bins), abs=1e-12)
    assert 0 <= found <= 1


@pytest.mark.law
def test_calibrated_is_zero():
    confidence = np.repeat([0.25, 0.5, 0.75, 1.0], 4)
    correct = np.concatenate([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]])
    assert expected_calibration_error(confidence, correct) == pytest.approx(0)


@pytest.mark.law
def test_calibrated_tends_to_zero():
    rng = np.random.default_rng(0)
    confidence = rng.random(200_000)
    correct = rng.random(200_000) < confidence
    assert expected_calibration_error(confidence, correct) < 0.006
    assert expected_calibration_error(np.sqrt(confidence), correct) > 0.1


@pytest.mark.law
def test_extremes():
    assert expected_calibration_error([1.0, 1.0], [True, True]) == 0
    assert expected_calibration_error([0.0, 0.0], [False, False]) == 0
    assert expected_calibration_error([1.0, 1.0], [False, False]) == 1


@pytest.mark.law
@given(cells, st.integers(1, 6), st.integers(2, 4))
@settings(max_examples=50, deadline=None)
def test_finer_bins_never_lower_it(pairs, n_bins, factor):
    confidence, correct = np.array(pairs, dtype=float).T
    # Only away from the edges, where rounding could move a value to another bin.
    confidence = np.round(confidence, 2) * 0.99 + 0.00137
    coarse = expected_calibration_error(confidence, correct, n_bins)
    assert expected_calibration_error(confidence, correct, n_bins * factor) >= coarse - 1e-12


@pytest.mark.parametrize(
    ("confidence", "correct", "n_bins", "message"),
    [
        ([0.5, 0.5], [1], 15, "one length"),
        ([], [], 15, "one length"),
        ([[0.5]], [[1]], 15, "vectors"),
        ([1.5], [1], 15, "in \\[0, 1\\]"),
        ([np.nan], [1], 15, "in \\[0, 1\\]"),
        ([0.5], [2], 15, "boolean"),
        ([0.5], [np.nan], 15, "boolean"),
        ([0.5], [1], 0, "n_bins"),
    ],
)
def test_bad_input(confidence, correct, n_bins, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(confidence, correct, n_bins)


assigned = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.floats(0, 1)), min_size=1, max_size=40
)


@pytest.mark.law
@given(assigned)
@settings(max_examples=100, deadline=None)
def test_sure_assignments_miscalibrate_by_their_error(cells):
    labels, clusters, _ = zip(*cells, strict=True)
    sure = matched_calibration(labels, clusters, np.ones(len(cells)))
    assert sure == pytest.approx(1 - hungarian_accuracy(labels, clusters))


@pytest.mark.law
@given(assigned, st.permutations(range(5)), st.integers(1, 20))
@settings(max_examples=100, deadline=None)
def test_matched_is_the_error_of_the_right_names(cells, names, n_bins):
    """Clusters that are the labels, for the most part, under other names."""
    labels, _, confidence = (np.array(column) for column in zip(*cells, strict=True))
    predicted = np.concatenate([labels, labels[:1], [4]])
    labels = np.concatenate([labels, labels[:1], labels[:1]])
    confidence = np.concatenate([confidence, [0.3, 0.9]])
    expected = expected_calibration_error(confidence, predicted == labels, n_bins)
    clusters = np.array(names)[predicted]
    assert matched_calibration(labels, clusters, confidence, n_bins) == pytest.approx(expected)


def test_cells_without_a_label_are_left_out():
    labels = ["T", "T", "B", "B", None, np.nan]
    clusters = [1, 1, 0, 0, 0, 7]
    confidence = [0.5, 0.7, 1.0, 0.8, 0.0, np.nan]
    alone = matched_calibration(labels[:4], clusters[:4], confidence[:4])
    assert matched_calibration(labels, clusters, confidence) == alone == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("labels", "clusters", "confidence", "message"),
    [
        ([0, 1], [0], [1, 1], "equal length"),
        ([0, 1], [0, 1], [1], "each of the 2 cells"),
        ([None], [0], [1], "at least one cell with a label"),
        ([0], [None], [1], "a cluster for every labeled cell"),
        ([0], [0], [2], "in \\[0, 1\\]"),
    ],
)
def test_matched_bad_input(labels, clusters, confidence, message):
    with pytest.raises(ValueError, match=message):
        matched_calibration(labels, clusters, confidence)
