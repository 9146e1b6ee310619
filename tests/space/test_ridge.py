"""Sums over groups give what scikit-learn gives from the cells."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, cross_val_predict

from mixvi.space.ridge import cross_validate, moments, ridge, squared_error

pytestmark = pytest.mark.law
PENALTIES = np.logspace(3, -4, 8)


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    folds = rng.permutation(np.repeat(np.arange(5), [30, 7, 20, 16, 25]))
    z = rng.normal(size=(98, 6)) * [3, 2, 1, 1, 0.5, 0] + folds[:, None]  # a dead dimension
    y = z @ rng.normal(size=(6, 2)) + rng.normal(size=(98, 2)) * 3
    return z, np.stack([y, y[rng.permutation(98)], rng.normal(size=(98, 2))]), folds


def alpha(z, penalty):
    return penalty * z.var(axis=0).mean() * len(z)


@pytest.mark.parametrize("own", [False, True])
def test_is_sklearns_ridge(cells, own):
    z, y, folds = cells
    sums = moments(z, y, folds)
    penalties = np.array([[1e-4, 2, 30], [1, 50, 1e-3]] if own else [[1e-4], [1], [1e3]])
    coef, intercept = ridge(sum(sums[1:], start=sums[0]), penalties)
    for k, row in enumerate(np.broadcast_to(penalties, (len(penalties), 3))):
        for s, (target, penalty) in enumerate(zip(y, row, strict=True)):
            oracle = Ridge(alpha(z, penalty)).fit(z, target)
            np.testing.assert_allclose(coef[k, :, s], oracle.coef_.T, atol=1e-9)
            np.testing.assert_allclose(intercept[k, s], oracle.intercept_, atol=1e-9)


def test_sums_add_up_and_are_taken_away(cells):
    z, y, folds = cells
    first, second, *_ = moments(z, y, folds)
    (both,) = moments(z[folds < 2], y[:, folds < 2], np.zeros((folds < 2).sum(), int))
    for a, b in zip(both._all(), (first + second)._all(), strict=True):
        np.testing.assert_allclose(a, b)
    for a, b in zip(((first + second) - second)._all(), first._all(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_squared_error_is_that_of_the_cells(cells):
    z, y, folds = cells
    sums = moments(z, y, folds)
    coef, intercept = ridge(sums[0], np.array([[0.1], [2]]))
    errors = squared_error(sums[2], coef, intercept)
    inside = folds == 2
    for k, s in np.ndindex(2, 3):
        fitted = z[inside] @ coef[k, :, s] + intercept[k, s]
        np.testing.assert_allclose(errors[k, s], np.square(y[s, inside] - fitted).sum())


class Relative(Ridge):
    """Ridge with a penalty relative to the spread of z, for scikit-learn's searches."""

    def fit(self, z, y):
        self.penalty_, self.alpha = self.alpha, alpha(z, self.alpha)
        super().fit(z, y)
        self.alpha = self.penalty_
        return self


def test_nested_choice_is_sklearns_grid_search(cells):
    z, y, folds = cells
    error, left_out = cross_validate(moments(z, y, folds), PENALTIES)
    for s, target in enumerate(y):
        search = GridSearchCV(
            Relative(),
            {"alpha": PENALTIES},
            cv=LeaveOneGroupOut(),
            scoring=lambda model, z, y: -2 * mean_squared_error(y, model.predict(z)),
        )
        whole = search.fit(z, target, groups=folds)
        np.testing.assert_allclose(error[:, s], -whole.cv_results_["mean_test_score"])
        for fold, (coef, intercept, chosen) in enumerate(left_out):
            rest = folds != fold
            oracle = search.fit(z[rest], target[rest], groups=folds[rest])
            assert chosen[s] == oracle.best_params_["alpha"]
            np.testing.assert_allclose(
                z[~rest] @ coef[:, s] + intercept[s], oracle.predict(z[~rest]), atol=1e-8
            )


def test_one_penalty_is_cross_val_predict(cells):
    z, y, folds = cells
    _, left_out = cross_validate(moments(z, y, folds), np.array([0.3]))
    predicted = np.empty_like(y[0])
    for fold, (coef, intercept, _) in enumerate(left_out):
        predicted[folds == fold] = z[folds == fold] @ coef[:, 0] + intercept[0]
    oracle = cross_val_predict(Relative(0.3), z, y[0], groups=folds, cv=LeaveOneGroupOut())
    np.testing.assert_allclose(predicted, oracle, atol=1e-9)
