import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import r2_score

from mixvi.metrics import perturbation_scores, r2, squared_pearson

pytestmark = pytest.mark.law


@pytest.fixture
def means():
    rng = np.random.default_rng(0)
    control = rng.gamma(1, 1, 50)
    observed = control + rng.normal(0.3, 0.5, 50)
    return observed + rng.normal(0, 0.2, 50), observed, control


def test_against_scipy_and_sklearn(means):
    predicted, observed, control = means
    correlation = stats.pearsonr(predicted, observed).statistic
    assert squared_pearson(predicted, observed) == pytest.approx(correlation**2)
    assert r2(predicted, observed) == pytest.approx(r2_score(observed, predicted))
    scores = perturbation_scores(predicted, observed, control, [3, 5, 8, 9])
    change = stats.pearsonr(predicted - control, observed - control).statistic
    assert scores["delta_r2_pearson"] == pytest.approx(change**2)
    assert scores["delta_r2"] == pytest.approx(r2_score(observed - control, predicted - control))
    top = np.isin(np.arange(50), [3, 5, 8, 9])
    assert scores["delta_r2_top"] == pytest.approx(
        r2_score((observed - control)[top], (predicted - control)[top])
    )
    assert scores == perturbation_scores(predicted, observed, control, top)


def test_limits(means):
    _, observed, control = means
    best = perturbation_scores(observed, observed, control)
    assert all(value == pytest.approx(1) for value in best.values())
    nothing = perturbation_scores(control, observed, control)
    assert nothing["r2_pearson"] > 0.5  # doing nothing looks good on means
    assert nothing["delta_r2"] <= 0
    assert nothing["delta_r2_pearson"] == 0
    assert squared_pearson(3 * observed + 1, observed) == pytest.approx(1)


def test_wrong_input(means):
    predicted, observed, control = means
    with pytest.raises(ValueError, match="shapes"):
        squared_pearson(predicted[:-1], observed)
    control[2] = np.nan
    with pytest.raises(ValueError, match=r"finite.*`control`.*gene 2"):
        perturbation_scores(predicted, observed, control)
    with pytest.raises(ValueError, match="all the same"):
        r2(predicted, np.ones(50))
    with pytest.raises(ValueError, match="at least 2"):
        r2([1.0], [2.0])
