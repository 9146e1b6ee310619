"""``mixvi map``: an atlas from one file, another mapped onto it, from the shell alone."""

import anndata as ad
import numpy as np
import pytest
from typer.testing import CliRunner

from mixvi import datasets
from mixvi.cli import app

FAST = ("--max-epochs", "4", "--accelerator", "cpu", "--quiet")


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("map")
    adata = datasets.simulate(200, 60, n_components=3, n_batches=2, depth=300, rng=0)
    adata.obs["cell_type"] = adata.obs.pop("component").astype(str)
    query = adata[:80].copy()
    query.obs["batch"] = "new"
    del query.obs["cell_type"]
    query.write_h5ad(folder / "query.h5ad")
    adata[80:].copy().write_h5ad(folder / "known.h5ad")
    result = run(
        *("cluster", folder / "known.h5ad", "-o", folder / "out.h5ad", "--batch-key", "batch"),
        *("--labels-key", "cell_type", "--model-dir", folder / "atlas", *FAST),
    )
    assert result.exit_code == 0, result.output
    return folder


def test_onto_a_model(folder, tmp_path):
    output = tmp_path / "mapped.h5ad"
    page = tmp_path / "page.html"
    arguments = ("map", folder / "query.h5ad", "--reference", folder / "atlas", "-o", output)
    arguments = (*arguments, "--report", page)
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    mapped = ad.read_h5ad(output)
    assert mapped.n_obs == 80
    assert set(mapped.obs["cell_type_pred"]) <= {f"component_{i}" for i in range(3)}
    assert mapped.obs["cell_type_pred_novel"].dtype == bool
    assert "of 80 cells" in result.stdout
    assert "cells mapped onto a reference (frozen)" in page.read_text("utf-8")
    before = output.read_bytes()
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert output.read_bytes() == before


def test_together_with_cells(folder, tmp_path):
    output = tmp_path / "joint.h5ad"
    result = run(
        *("map", folder / "query.h5ad", "--reference", folder / "known.h5ad", "-o", output),
        *("--labels-key", "cell_type", "--batch-key", "batch", "--join", *FAST),
        *("--n-models", 2),
    )
    assert result.exit_code == 0, result.output
    joined = ad.read_h5ad(output)
    assert joined.n_obs == 200
    assert np.isfinite(joined.obs["cell_type_pred_novelty"]).all()
    assert "n_models=2" in joined.uns["cell_type_pred"]["call"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--reference", "nowhere"), "no directory"),
        (("--reference", "known.h5ad"), "--labels-key"),
        (("--reference", "atlas", "--n-new-components", "some"), "--n-new-components"),
        (("--reference", "atlas", "--false-alarm-rate", "2"), "between 0 and 1"),
        (("--reference", "atlas", "--n-models", "2"), "found 2: it is for cells as reference"),
        (("--reference", "atlas", "--join"), "save_anndata=True"),
    ],
)
def test_bad_input_is_one_sentence(folder, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    result = run("map", "query.h5ad", "-o", tmp_path / "mapped.h5ad", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
