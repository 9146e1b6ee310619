"""Every behaviour of the contract has tests, and these run on both versions of scvi-tools."""

import ast
from pathlib import Path

import pytest
from tests.trust.behaviours import BEHAVIOURS, ELSEWHERE

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]


def marks(nodes):
    return " ".join(ast.unparse(node) for node in nodes)


def test_numbers_are_complete():
    numbers = {f"P{i}" for i in range(1, 44)} | {f"A{i}" for i in range(1, 18)}
    assert set(BEHAVIOURS) | ELSEWHERE == numbers
    assert not set(BEHAVIOURS) & ELSEWHERE


@pytest.mark.parametrize("number", BEHAVIOURS)
def test_behaviour_is_tested(number):
    _, tests = BEHAVIOURS[number]
    assert tests
    for test in tests:
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text())
        functions = {f.name: f for f in tree.body if isinstance(f, ast.FunctionDef)}
        assert name in functions, test
        of_file = [node for node in tree.body if "pytestmark" in ast.unparse(node)[:12]]
        marked = marks(of_file) + marks(functions[name].decorator_list)
        assert "contract" in marked, f"{test} would not run on every Python"
        assert "slow" not in marked, f"{test} would not run on every Python"
