"""Manners: names to complete, help that teaches, plots and tools that say what comes first."""

import subprocess
import sys

import anndata as ad
import numpy as np
import pytest
from typer.testing import CliRunner

import mixvi
from mixvi.cli import app

PACKAGES = ["datasets", "metrics", "model", "pl", "report", "tl"]


@pytest.mark.parametrize("name", PACKAGES)
def test_completion_offers_what_is_for_users(name):
    package = getattr(mixvi, name)
    assert sorted(dir(package)) == sorted(package.__all__)
    assert all(hasattr(package, each) for each in package.__all__)
    assert name in mixvi.__all__


def test_help_teaches():
    text = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100"}).stdout.split())
    for step in ("mixvi demo", "mixvi cluster cells.h5ad", "mixvi report", "mixvi map query.h5ad"):
        assert step in text
    order = [text.index(step) for step in ("demo", "cluster cells", "report out", "map query")]
    assert order == sorted(order)


def test_module_is_the_command():
    run = [sys.executable, "-m", "mixvi", "--version"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert mixvi.__version__ in done.stdout


@pytest.mark.parametrize(
    "call",
    [
        lambda cells: mixvi.pl.merge_tree(cells),
        lambda cells: mixvi.pl.component_sizes(cells),
        lambda cells: mixvi.pl.training_history(cells),
        lambda cells: mixvi.pl.novelty(cells),
        lambda cells: mixvi.pl.responsibilities(cells),
        lambda cells: mixvi.pl.contingency(cells, label_key="type"),
        lambda cells: mixvi.tl.merge_components(cells, 3),
        lambda cells: mixvi.tl.stability(cells, ["seed_1"]),
    ],
)
def test_what_needs_a_run_says_so(call):
    cells = ad.AnnData(np.ones((4, 3)))
    cells.obs["type"] = list("aabb")
    with pytest.raises(KeyError, match=r"expected .* found .*(run|train|fit)"):
        call(cells)


@pytest.mark.slow
def test_torch_does_not_talk_about_its_compressed_tensors():
    """In a process of its own: torch says such things once."""
    code = """
import mixvi
adata = mixvi.datasets.simulate(60, 30, n_components=2, rng=0)
mixvi.model.RMVE.setup_anndata(adata)
model = mixvi.model.RMVE(adata, n_components=2, n_hidden=16)
model.train(max_epochs=2, accelerator="cpu", enable_progress_bar=False)
model.predict()
"""
    texts = ["Sparse CSR tensor support", "Sparse invariant checks are implicitly disabled"]
    refused = [word for text in texts for word in ("-W", f"error:{text}:UserWarning")]
    run = [sys.executable, *refused, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Sparse" not in done.stderr
