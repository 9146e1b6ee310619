"""Tutorials: every notebook is its script, executed, small; and the scripts still run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "tutorials").glob("*.py"))
LARGEST = 1_000_000  # bytes of a notebook

pytestmark = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def parts(script: Path) -> list[tuple[str, str]]:
    """Kind and source of every cell of a script in jupytext's percent format."""
    text = script.read_text("utf-8").split("# ---\n", 2)[2]
    found = []
    for part in text.split("# %%")[1:]:
        head, _, source = part.partition("\n")
        kind = "markdown" if "[markdown]" in head else "code"
        if kind == "markdown":
            lines = [line.removeprefix("#").removeprefix(" ") for line in source.splitlines()]
            source = "\n".join(lines)
        found.append((kind, source.strip()))
    return found


def notebook(script: Path) -> dict:
    return json.loads(script.with_suffix(".ipynb").read_text("utf-8"))


def test_notebook_is_the_script(script):
    cells = notebook(script)["cells"]
    assert [(c["cell_type"], "".join(c["source"]).strip()) for c in cells] == parts(script)


def test_notebook_is_executed_and_small(script):
    code = [cell for cell in notebook(script)["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code)
    outputs = [output for cell in code for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert script.with_suffix(".ipynb").stat().st_size < LARGEST


@pytest.mark.slow
def test_script_runs(script, tmp_path):
    environment = os.environ | {"MPLBACKEND": "Agg"}
    subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, check=True, timeout=900)
