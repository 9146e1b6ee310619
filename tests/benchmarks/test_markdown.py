import math

import pandas as pd
from benchmarks.markdown import NONE, extent, markdown, number


def test_numbers_have_fixed_digits_or_a_dash():
    assert number(0.12345) == "0.123"
    assert number(2, 0) == "2"
    assert number(math.nan) == NONE


def test_extent_is_one_value_or_two():
    assert extent(pd.Series([3, 3])) == "3"
    assert extent(pd.Series([5, 3, 4])) == "3–5"


def test_every_line_has_every_column():
    text = markdown(["a", "b"], [["1", "2"], ["3", "4"]])
    assert text.splitlines()[1] == "| --- | ---: |"
    assert {line.count("|") for line in text.splitlines()} == {3}
