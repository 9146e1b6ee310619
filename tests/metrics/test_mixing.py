"""Mixing of batches within types."""

import numpy as np
import pytest

from mixvi.metrics import within_type_mixing

pytestmark = pytest.mark.law


def cells(n=900, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)), rng.choice(["a", "b"], n), rng.choice(["T", "B"], n)


def test_batches_that_do_not_matter():
    assert within_type_mixing(*cells()) == pytest.approx(1, abs=0.04)


def test_batches_that_keep_to_themselves():
    z, batches, labels = cells()
    z[batches == "a"] += 100
    assert within_type_mixing(z, batches, labels) == 0


def test_composition_is_no_fault():
    """A type that one batch has nine times as often, and one that only one batch has."""
    z, _, labels = cells()
    rng = np.random.default_rng(1)
    batches = np.where(rng.random(900) < 0.9, "a", "b")
    labels[:50], batches[:50] = "NK", "a"
    z += 30 * (labels == "T")[:, None]
    assert within_type_mixing(z, batches, labels) == pytest.approx(1, abs=0.06)


def test_half_is_between():
    z, batches, labels = cells()
    z[(batches == "a") & (labels == "T")] += 100
    assert within_type_mixing(z, batches, labels) == pytest.approx(0.5, abs=0.04)


def test_names_and_order_do_not_matter():
    z, batches, labels = cells()
    order = np.random.default_rng(2).permutation(900)
    renamed = np.where(batches == "a", 7, 3)
    assert within_type_mixing(z[order], renamed[order], labels[order]) == pytest.approx(
        within_type_mixing(z, batches, labels)
    )


def test_small_types_have_few_neighbors():
    z, batches, labels = cells(8)
    labels[:] = "T"
    batches[:4] = "a"
    batches[4:] = "b"
    assert 0 <= within_type_mixing(z, batches, labels) <= 1


def test_input_is_checked():
    z, batches, labels = cells()
    with pytest.raises(ValueError, match="found 900, 899 and 900"):
        within_type_mixing(z, batches[1:], labels)
    with pytest.raises(ValueError, match="two batches"):
        within_type_mixing(z, np.zeros(900), labels)
