import numpy as np
from matplotlib.path import Path

from mixvi.datasets import organ_places
from mixvi.pl._outline import _HALF, _smooth


def test_organs_lie_in_the_body():
    organs = organ_places()
    assert organs.index.name == "organ"
    assert not organs.index.has_duplicates
    half = _smooth(_HALF).to_polygons()[0]
    body = Path(np.vstack([half, (half * [-1, 1])[::-1]]))
    places = organs.to_numpy()
    in_head = ((places - [0, 158.5]) / [7.7, 11.5] <= 1).all(1) & (places[:, 1] > 147)
    assert (body.contains_points(places) | in_head).all()


def test_a_change_stays_with_its_owner():
    organ_places().loc["heart", "x"] = 99
    assert organ_places().loc["heart", "x"] < 10
