"""Every behaviour of the contract has tests, and these run on both versions of scvi-tools."""

import ast
import re
from pathlib import Path

import pytest
from tests.trust.behaviours import BEHAVIOURS, ELSEWHERE

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]


def marks(nodes):
    return " ".join(ast.unparse(node) for node in nodes)


def test_numbers_are_complete():
    numbers = {f"P{i}" for i in range(1, 44)} | {f"A{i}" for i in range(1, 18)}
    assert set(BEHAVIOURS) | set(ELSEWHERE) == numbers
    assert not set(BEHAVIOURS) & set(ELSEWHERE)


def source(test):
    """The file of a test, parsed, and the test."""
    path, _, name = test.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    functions = {f.name: f for f in tree.body if isinstance(f, ast.FunctionDef)}
    assert name in functions, test
    return tree, functions[name]


@pytest.mark.parametrize("number", BEHAVIOURS)
def test_behaviour_is_tested(number):
    _, tests = BEHAVIOURS[number]
    assert tests
    for test in tests:
        tree, function = source(test)
        of_file = [node for node in tree.body if "pytestmark" in ast.unparse(node)[:12]]
        marked = marks(of_file) + marks(function.decorator_list)
        assert "contract" in marked, f"{test} would not run on every Python"
        assert "slow" not in marked, f"{test} would not run on every Python"


@pytest.mark.parametrize("number", ELSEWHERE)
def test_behaviour_is_tested_elsewhere(number):
    for test in ELSEWHERE[number]:
        source(test)


EVERY_MODEL = {"spec", "trained", "fresh", "reference"}  # fixtures with a parameter for each


def over_every_model(test):
    """Whether a test has a fixture or parameters for models of both classes."""
    tree, function = source(test)
    if EVERY_MODEL & {argument.arg for argument in function.args.args}:
        return True
    constants = {
        ast.unparse(node.targets[0]): ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
    }
    words = marks(function.decorator_list)
    words += "".join(value for name, value in constants.items() if name in words)
    return "SPECS" in words or {"CGMDVAE", "RMVE"} <= set(re.findall(r"[A-Z]+", words))


@pytest.mark.parametrize("number", BEHAVIOURS)
def test_behaviour_is_tested_over_every_model(number):
    _, tests = BEHAVIOURS[number]
    assert any(map(over_every_model, tests))
