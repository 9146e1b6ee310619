import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixvi.metrics import cluster_stability

rows = st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=40)
holed = st.lists(
    st.tuples(st.integers(0, 3), *[st.one_of(st.none(), st.integers(0, 2))] * 2),
    min_size=1,
    max_size=30,
).filter(lambda cells: all(any(cell[i] is not None for cell in cells) for i in (1, 2)))


def by_sets(reference, others):
    stability = {}
    for k in set(reference):
        best = []
        for other in others:
            seen = [i for i, value in enumerate(other) if value is not None]
            mine = {i for i in seen if reference[i] == k}
            sets = [{i for i in seen if other[i] == m} for m in {other[i] for i in seen}]
            if mine:
                best.append(max(len(mine & s) / len(mine | s) for s in sets))
        stability[k] = np.mean(best) if best else np.nan
    return stability


@pytest.mark.law
@given(holed)
@settings(max_examples=150, deadline=None)
def test_is_its_definition_on_sets(cells):
    reference, *others = (list(column) for column in zip(*cells, strict=True))
    assert cluster_stability(reference, others).to_dict() == pytest.approx(
        by_sets(reference, others), nan_ok=True
    )


@pytest.mark.law
@given(rows, st.permutations(range(4)))
@settings(max_examples=50, deadline=None)
def test_names_of_the_others_do_not_matter(cells, names):
    reference, first, second = np.array(cells).T
    before = cluster_stability(reference, [first, second])
    after = cluster_stability(reference, [np.array(names)[first], [f"c{k}" for k in second]])
    pd.testing.assert_series_equal(before, after)


@pytest.mark.law
def test_identical_is_one_and_independent_is_low():
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 10, 20_000)
    assert (cluster_stability(reference, [reference, 9 - reference]) == 1).all()
    independent = cluster_stability(reference, [rng.integers(0, 10, 20_000) for _ in range(5)])
    # |∩| = n/100 of |∪| = 19n/100
    assert independent.to_numpy() == pytest.approx(np.full(10, 1 / 19), abs=0.01)


@pytest.mark.law
def test_halves_and_pairs_are_one_half():
    reference = np.repeat([0, 1, 2], 4)
    halved = np.repeat([0, 1, 2, 3, 4], [2, 2, 4, 2, 2])
    joined = np.repeat([0, 1], [8, 4])
    assert cluster_stability(reference, [halved]).tolist() == [0.5, 1, 0.5]
    assert cluster_stability(reference, [joined]).tolist() == [0.5, 0.5, 1]
    assert cluster_stability(reference, [halved, joined]).tolist() == [0.5, 0.75, 0.75]


def test_index_has_the_names_in_natural_order():
    stability = cluster_stability(["c10", "c2", "c1"], [pd.Categorical(["a", "b", None])])
    assert stability.index.tolist() == ["c1", "c2", "c10"]
    assert stability.index.name == "cluster"
    assert stability.name == "stability"
    assert np.isnan(stability["c1"])
    assert stability["c2"] == 1


@pytest.mark.parametrize(
    ("reference", "others", "message"),
    [
        ([0, 1], [], "at least one other clustering"),
        ([0, 1], [[0, 1], [0]], "the 2 cells .* found 1 in number 1"),
        ([0, None], [[0, 1]], "every cell of `reference`, found 1"),
        ([0, 1], [[None, None]], "at least one cell"),
    ],
)
def test_bad_input(reference, others, message):
    with pytest.raises(ValueError, match=message):
        cluster_stability(reference, others)
