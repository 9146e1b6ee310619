import numpy as np
import pytest
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from mixvi.pl import plate_diagram

PARENTS = {"c": [], "d": [], "y": ["d"], "w": [], "z": ["y", "w"], "x": ["z", "c", "w"]}


def parts(axis, kind):
    return [patch for patch in axis.patches if type(patch) is kind]


def test_arrows_run_down_between_their_variables():
    axis = plate_diagram(PARENTS, given=["c", "x"], per_cell=[n for n in PARENTS if n != "d"])
    names = [text.get_text() for text in axis.texts[:6]]
    assert names == list(PARENTS)
    places = {t.get_text(): np.array(t.get_position()) for t in axis.texts[:6]}
    circles = dict(zip(names, parts(axis, Circle), strict=True))
    assert {n for n, c in circles.items() if c.get_facecolor()[0] < 1} == {"c", "x"}
    drawn = {(a.patchA, a.patchB) for a in parts(axis, FancyArrowPatch)}
    expected = {(circles[a], circles[n]) for n, above in PARENTS.items() for a in above}
    assert drawn == expected
    for name, above in PARENTS.items():
        assert all(places[a][1] > places[name][1] for a in above)
    gaps = [np.hypot(*(places[a] - places[b])) for a in names for b in names if a < b]
    assert min(gaps) > 2 * circles["x"].radius


def test_plate_holds_what_is_per_cell():
    inside = [name for name in PARENTS if name != "d"]
    axis = plate_diagram(PARENTS, per_cell=inside)
    (box,) = parts(axis, FancyBboxPatch)
    for text in axis.texts[:6]:
        x, y = text.get_position()
        within = (
            box.get_x() < x < box.get_x() + box.get_width()
            and box.get_y() < y < box.get_y() + box.get_height()
        )
        if text.get_text() in inside:
            assert within


def test_arrows_keep_clear_of_other_variables():
    chain = {"a": [], "b": ["a"], "c": ["b", "a"], "d": ["c", "a"]}
    axis = plate_diagram(chain)
    places = {t.get_text(): np.array(t.get_position()) for t in axis.texts[:4]}
    radius = parts(axis, Circle)[0].radius
    arrows = iter(parts(axis, FancyArrowPatch))
    for name, above in chain.items():
        for a in above:
            path = next(arrows).get_connectionstyle()(places[a], places[name], shrinkA=0, shrinkB=0)
            curve = path.interpolated(20).vertices if len(path.codes) == 2 else bezier(path)
            for other in set(chain) - {a, name}:
                assert np.linalg.norm(curve - places[other], axis=1).min() > radius


def bezier(path):
    start, control, end = path.vertices
    t = np.linspace(0, 1, 50)[:, None]
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end


@pytest.mark.parametrize(
    ("parents", "sentence"),
    [({"x": ["z"]}, r"found \['z'\] that are none"), ({"a": ["b"], "b": ["a"]}, "found a circle")],
)
def test_refuses(parents, sentence):
    with pytest.raises(ValueError, match=sentence):
        plate_diagram(parents)
