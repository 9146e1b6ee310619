"""Names on an embedding: they stand at the median, and do not meet."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist

from mixvi.pl._scatter import apart, new_axes, write_names


@pytest.mark.parametrize(
    "places",
    [
        [[0.5, 0.5], [0.5, 0.5]],
        [[0.5, 0.5], [0.51, 0.5], [0.5, 0.5], [0.9, 0.1]],
        np.random.default_rng(0).uniform(0.4, 0.5, (5, 2)),
    ],
)
def test_names_that_meet_move_apart(places):
    moved = apart(np.array(places), np.ones(2))
    assert pdist(moved).min() > 0.045
    np.testing.assert_allclose(moved.mean(0), np.mean(places, 0))


def test_names_with_room_stay():
    places = np.array([[0.0, 0], [10, 0], [10, 5]])
    np.testing.assert_allclose(apart(places, np.array([10.0, 5])), places)
    np.testing.assert_allclose(apart(np.empty((0, 2)), np.ones(2)), np.empty((0, 2)))


def test_names_are_at_the_median():
    points = np.random.default_rng(0).normal(size=(30, 2)) + 9 * np.eye(3, 2)[np.arange(30) % 3]
    axis = new_axes(None)
    write_names(axis, points, pd.Series(pd.Categorical(np.arange(30) % 3, categories=range(4))))
    assert [text.get_text() for text in axis.texts] == ["0", "1", "2"]
    for k, text in enumerate(axis.texts):
        np.testing.assert_allclose(text.get_position(), np.median(points[k::3], axis=0))
