import numpy as np

from mixvi.datasets import organ_places
from mixvi.pl._outline import _HALF, _smooth


def test_organs_lie_in_the_body():
    organs = organ_places()
    assert organs.index.name == "organ"
    assert not organs.index.has_duplicates
    places = organs.to_numpy()
    # the outline is one half, mirrored; a hair off the midline, which is its edge
    in_trunk = _smooth(_HALF).contains_points(np.abs(places) + np.array([0.01, 0]))
    in_head = np.square((places - [0, 158.5]) / [7.7, 11.5]).sum(1) <= 1
    assert (in_trunk | in_head).all()


def test_a_change_stays_with_its_owner():
    mine = organ_places()
    mine.loc["heart", "x"] = 99
    assert organ_places().loc["heart", "x"] < 10
