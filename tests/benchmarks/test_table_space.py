import pandas as pd
import pytest
from benchmarks.table_space import score, space_page


def rows():
    both = {"set": "osmfish_cortex", "method": "rmve"}
    return [
        {**both, "left_out": "groups", "seed": 0, "median_distance": 300.4, "r2": 0.5},
        {**both, "left_out": "groups", "seed": 1, "median_distance": 310.6, "r2": 0.4},
        {**both, "left_out": "cells", "seed": 0, "median_distance": 200.0, "r2": 0.7},
        {"set": "osmfish_cortex", "method": "mean", "left_out": "groups", "seed": 0, "r2": -0.1},
    ]


def test_page_says_mean_and_worst_of_each_way_to_leave_out():
    page = space_page(rows())
    (line,) = [line for line in page.splitlines() if line.startswith("| RMVE")]
    assert [cell.strip() for cell in line.split("|")[2:5]] == ["2", "306 (311)", "0.450 (0.400)"]
    assert line.endswith("| 200 |")
    assert "| mean place | 1 | – | -0.100 |" in page
    assert "villus" not in page


@pytest.mark.parametrize(
    ("values", "key", "expected"),
    [
        ([0.9, 0.7], "spearman", "0.80 (0.70)"),
        ([0.9, 0.7], "p_value", "0.80 (0.90)"),
        ([None, 0.7], "r2", "0.70"),
        ([None], "r2", "–"),
    ],
)
def test_worst_is_the_bad_end(values, key, expected):
    assert score(pd.DataFrame({key: pd.Series(values, dtype=float)}), key, 2) == expected


def test_what_was_not_measured_is_a_dash():
    assert score(pd.DataFrame({"seed": [0]}), "zone_error", 2) == "–"
