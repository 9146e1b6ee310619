"""The rate of false alarms is kept whatever the scores and however few they are."""

import numpy as np
import pytest
from tests.model.specs import QUICK, cells

from mixvi.model import RMVE
from mixvi.model.false_alarms import attainable_rate, threshold_of

pytestmark = pytest.mark.law

N_DRAWS = 4000


@pytest.mark.parametrize("n", [19, 24, 60, 500])
@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_next_cell_exceeds_at_the_rate(n, rate):
    """Uniform scores, so that a threshold is its own rate; the law is that of ranks."""
    rng = np.random.default_rng(0)
    scores = np.sort(rng.uniform(size=(N_DRAWS, n)))
    exceeded = np.array([1 - threshold_of(row, n, rate) for row in scores])
    k = np.ceil((n + 1) * (1 - rate) - 1e-9)
    expected = (n + 1 - k) / (n + 1)
    error = exceeded.std() / np.sqrt(N_DRAWS)
    assert exceeded.mean() == pytest.approx(expected, abs=4 * error)
    assert rate - 1 / (n + 1) <= expected <= rate
    # what a quantile of the scores themselves does
    plain = 1 - np.quantile(scores, 1 - rate, axis=1)
    assert plain.mean() > expected


def test_many_scores_are_kept_as_quantiles():
    rng = np.random.default_rng(1)
    scores = np.sort(rng.normal(size=50_000))
    quantiles = np.quantile(scores, np.linspace(0, 1, 1001))
    for rate in (0.01, 0.05, 0.3):
        threshold = threshold_of(quantiles, len(scores), rate)
        assert (scores > threshold).mean() == pytest.approx(rate, abs=2e-4)


def test_too_few_scores_say_so(caplog):
    scores = np.array([1.0, 2.0, 4.0])
    assert threshold_of(scores, 3, 0.05) == 4
    assert "only 3 known cells" in caplog.text
    assert "0.25 of the known cells" in caplog.text
    assert attainable_rate(0.05, 3) == 0.25
    caplog.clear()
    assert threshold_of(scores, 3, 0.5) == 2
    assert threshold_of(np.array([3.0]), 1, 0.5) == 3
    assert not caplog.text


def test_a_model_writes_the_rate_that_it_keeps(caplog):
    adata = cells(60)
    RMVE.setup_anndata(adata, batch_key="batch")
    model = RMVE(adata, n_components=2, n_hidden=8)
    model.train(**QUICK | {"max_epochs": 1})
    assert model.novelty_cells_ == 6
    model.annotate(key_added="mix")
    assert adata.uns["mix"]["false_alarm_rate"] == pytest.approx(1 / 7)
    assert "call calibrate_novelty" in caplog.text
    known = cells(400, rng=0)[60:].copy()
    model.calibrate_novelty(known)
    model.annotate(key_added="mix")
    assert adata.uns["mix"]["false_alarm_rate"] == 0.05
    assert model.is_novel(known).mean() == pytest.approx(0.05, abs=2 / 340)


def test_trained_cells_are_compared_with_each_other(tmp_path):
    """A long run knows the cells that it was trained on better than any other."""
    adata, other = cells(200, rng=0), cells(200, rng=1)
    RMVE.setup_anndata(adata, batch_key="batch")
    model = RMVE(adata, n_components=2, n_hidden=8)
    model.train(**QUICK | {"max_epochs": 3})
    trained = model.train_indices
    assert model.is_novel()[trained].mean() == pytest.approx(0.05, abs=1 / 100)
    novelty, threshold = model.get_novelty(), model.novelty_threshold(0.1)
    held_out = model.validation_indices
    novel = model.is_novel(false_alarm_rate=0.1)
    np.testing.assert_array_equal(novel[held_out], novelty[held_out] > threshold)
    some = [trained[3], held_out[0], trained[7]]
    np.testing.assert_array_equal(model.is_novel(indices=some, false_alarm_rate=0.1), novel[some])
    model.annotate(key_added="mix", false_alarm_rate=0.1)
    np.testing.assert_array_equal(adata.obs["mix_novel"], novel)
    own = adata.uns["mix"]["novelty_threshold_trained"]
    assert (novelty[trained] > own).mean() == pytest.approx(0.1, abs=1 / 100)

    model.save(tmp_path / "model")
    again = RMVE.load(tmp_path / "model", adata)
    np.testing.assert_array_equal(again.is_novel(false_alarm_rate=0.1), novel)
    # as many other cells, in the place of those that were trained on
    elsewhere = RMVE.load(tmp_path / "model", other)
    expected = model.get_novelty(other) > threshold
    np.testing.assert_array_equal(elsewhere.is_novel(false_alarm_rate=0.1), expected)
    np.testing.assert_array_equal(model.is_novel(other, false_alarm_rate=0.1), expected)
    model.annotate(other, key_added="mix")
    assert "novelty_threshold_trained" not in other.uns["mix"]
