import numpy as np
import pytest
from scipy.stats import ortho_group, spearmanr
from sklearn.metrics import mean_absolute_error, r2_score

from mixvi.metrics import place_scores, zone_scores


@pytest.fixture
def places():
    rng = np.random.default_rng(0)
    measured = rng.normal(size=(200, 3)) * [1, 5, 2]
    return measured, measured + rng.normal(size=(200, 3))


@pytest.mark.law
def test_are_their_definitions(places):
    measured, predicted = places
    found = place_scores(measured, predicted)
    distance = np.sqrt(((measured - predicted) ** 2).sum(1))
    rank = [spearmanr(measured[:, d], predicted[:, d]).statistic for d in range(3)]
    assert found == pytest.approx(
        {
            "median_distance": np.median(distance),
            "mean_distance": distance.mean(),
            "r2": 1 - (distance**2).sum() / ((measured - measured.mean(0)) ** 2).sum(),
            "spearman": np.mean(rank),
            "n": 200,
        }
    )
    one = place_scores(measured[:, 1], predicted[:, 1])
    assert one["r2"] == pytest.approx(r2_score(measured[:, 1], predicted[:, 1]))
    error = mean_absolute_error(measured[:, 1], predicted[:, 1])
    assert one["mean_distance"] == pytest.approx(error)


@pytest.mark.law
def test_distances_do_not_change_when_the_map_is_turned(places):
    rotation = ortho_group.rvs(3, random_state=0)
    before = place_scores(*places)
    after = place_scores(*(2 * y @ rotation + 7 for y in places))
    for key, factor in {"median_distance": 2, "mean_distance": 2, "r2": 1}.items():
        assert after[key] == pytest.approx(factor * before[key])


@pytest.mark.law
def test_zones(places):
    zones = np.array([0, 0, 1, 2, 2, 5])
    found = zone_scores(zones, [0.4, 3.6, 1.2, -9, 1.9, 3.4])
    # zones 0, 1, 2, 5: 3.6 is next to 5, three ranks from 0; 3.4 to 2, one from 5
    assert found["zone_error"] == pytest.approx((3 + 2 + 1) / 6)
    assert found["zone_accuracy"] == pytest.approx(3 / 6)
    assert found["spearman"] == pytest.approx(
        spearmanr(zones, [0.4, 3.6, 1.2, -9, 1.9, 3.4]).statistic
    )
    assert zone_scores(zones, zones)["zone_error"] == 0


def test_cells_without_a_place_are_left_out(places):
    measured, predicted = (y.copy() for y in places)
    whole = place_scores(measured[20:], predicted[20:])
    measured[:10], predicted[10:20, 1] = np.nan, np.nan
    assert place_scores(measured, predicted) == pytest.approx(whole)


def test_a_constant_prediction_has_no_rank_correlation():
    found = place_scores(np.arange(5), np.full(5, 2.0))
    assert np.isnan(found["spearman"])
    assert found["r2"] == 0
    assert np.isnan(place_scores(np.ones(3), np.arange(3))["r2"])


@pytest.mark.parametrize(
    ("function", "measured", "predicted", "message"),
    [
        (place_scores, np.ones((3, 2)), np.ones((3, 1)), "of one shape"),
        (place_scores, np.full(3, np.nan), np.ones(3), "found none"),
        (zone_scores, np.ones((3, 2)), np.ones((3, 2)), "one coordinate, found 2"),
    ],
)
def test_refuses(function, measured, predicted, message):
    with pytest.raises(ValueError, match=message):
        function(measured, predicted)
