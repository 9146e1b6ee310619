"""The command line: good runs write whole files, bad input is one sentence and exit code 2."""

import hashlib
from functools import partial

import anndata as ad
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from typer.testing import CliRunner

import mixvi
from mixvi.cli import app

mpl.use("Agg")
N_CELLS, N_GENES = 60, 30


def small() -> ad.AnnData:
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(1, 2, N_GENES), (N_CELLS, N_GENES)).astype("float32")
    X[:, 0] += 1
    X[0] += 1
    obs = pd.DataFrame(
        {"batch": ["a", "b"] * 30, "cell_type": list("xyz") * 20, "age": rng.uniform(1, 9, 60)},
        index=[f"cell{i}" for i in range(N_CELLS)],
    )
    var = pd.DataFrame(index=[f"gene{j}" for j in range(N_GENES)])
    return ad.AnnData(sparse.csr_matrix(X), obs=obs, var=var)


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def fake(monkeypatch):
    """A cheap stand-in for training that writes the same keys and remembers its arguments."""
    calls = []

    def stand_in(method, adata, n_components="auto", *, key_added=None, save=None, **kwargs):
        key_added = key_added or method
        calls.append({"method": method, "n_components": n_components, "save": save, **kwargs})
        codes = np.arange(adata.n_obs) % 3
        adata.obsm[f"X_{key_added}"] = np.random.default_rng(0).normal(size=(adata.n_obs, 4))
        adata.obs[key_added] = pd.Categorical([str(code) for code in codes])
        adata.obs[f"{key_added}_confidence"] = 0.9
        adata.uns[key_added] = {"components": [str(k) for k in range(7)]}
        print("chatter")  # the bar of a library
        if save is not None:
            save.mkdir()
            (save / "model.pt").write_text("weights")

    for method in ("cgmdvae", "rmve"):
        monkeypatch.setattr(f"mixvi.tl.{method}", partial(stand_in, method))
    return calls


@pytest.fixture
def cells(tmp_path):
    path = tmp_path / "cells.h5ad"
    small().write_h5ad(path)
    return path


def files(directory) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_version_and_help():
    assert run("--version").stdout == f"mixvi {mixvi.__version__}\n"
    for command in ("cluster", "map", "report", "demo"):
        result = run(command, "--help")
        assert result.exit_code == 0
        assert "Example" in result.stdout


def test_cluster_writes_everything(cells, tmp_path, fake):
    out, model = tmp_path / "out.h5ad", tmp_path / "model"
    result = run(
        "cluster", cells, "-o", out, "--batch-key", "batch", "--n-top-genes", 10, "--model-dir",
        model, "--n-components", 5, "--max-epochs", 2, "--score-against", "cell_type",
        "--continuous-covariate-key", "age",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    written = ad.read_h5ad(out)
    assert written.shape == (N_CELLS, N_GENES)
    assert written.var["highly_variable"].sum() == 10
    assert written.obs["cgmdvae"].nunique() == 3
    assert (model / "model.pt").read_text() == "weights"
    assert files(tmp_path) == ["cells.h5ad", "model", "out.h5ad"]
    (call,) = fake
    assert call["batch_key"] == "batch"
    assert call["labels_key"] is None  # scoring is not training
    assert call["continuous_covariate_keys"] == ["age"]
    assert call["mask_var"] == "highly_variable"
    assert call["train_kwargs"]["max_epochs"] == 2
    assert "n_latent" not in call["model_kwargs"]
    assert "ari" in result.stdout
    assert "│ n_clusters │ 3 " in result.stdout
    assert "mean confidence" in result.stdout
    assert f"wrote {out}" in result.stdout.replace("\n", " ")
    assert "chatter" not in result.stdout
    assert "chatter" in result.stderr


def test_quiet_all_genes_and_existing_choice(cells, tmp_path, fake):
    adata = small()
    adata.var["highly_variable"] = np.arange(N_GENES) < 7
    adata.write_h5ad(cells)
    result = run("cluster", cells, "-o", tmp_path / "a.h5ad", "-q", "--n-top-genes", 10)
    assert (result.exit_code, result.stdout) == (0, "")
    assert ad.read_h5ad(tmp_path / "a.h5ad").var["highly_variable"].sum() == 7
    run("cluster", cells, "-o", tmp_path / "b.h5ad", "--n-top-genes", 0)
    assert [call["mask_var"] for call in fake] == ["highly_variable", False]
    assert not fake[0]["train_kwargs"]["enable_progress_bar"]


def _edit(change):
    def write(path):
        adata = small()
        changed = change(adata)
        (adata if changed is None else changed).write_h5ad(path)

    return write


def _set(row, column, value):
    def change(adata):
        X = adata.X.toarray()
        X[row, column] = value
        adata.X = sparse.csr_matrix(X)

    return _edit(change)


def _missing_label(adata):
    adata.obs["batch"] = pd.Categorical([None, *["a"] * 59])


def _truncated(path):
    small().write_h5ad(path)
    path.write_bytes(path.read_bytes()[:4000])


KEEP = _edit(lambda adata: None)
BAD = {
    "no file": (lambda path: None, [], "found no file"),
    "not HDF5": (lambda path: path.write_text("a,b"), [], "damaged or of another format"),
    "truncated": (_truncated, [], "damaged or of another format"),
    "missing column": (KEEP, ["--batch-key", "bach"], "did you mean 'batch'?"),
    "missing score column": (KEEP, ["--score-against", "type"], "'type' in adata.obs"),
    "missing layer": (KEEP, ["--layer", "counts"], "the layer 'counts' in adata.layers"),
    "missing label": (_edit(_missing_label), ["--batch-key", "batch"], "found 1 of 60 cells"),
    "text covariate": (KEEP, ["--continuous-covariate-key", "batch"], "expected numbers"),
    "negative": (_set(2, 3, -1), [], "negative value -1 (cell 'cell2', gene 'gene3')"),
    "fraction": (_set(2, 3, 1.37), [], "non-integer value 1.37 (cell 'cell2', gene 'gene3')"),
    "NaN": (_set(2, 3, np.nan), [], "found NaN (cell 'cell2', gene 'gene3')"),
    "NaN in normal": (_set(2, 3, np.nan), ["--gene-likelihood", "normal"], "found NaN"),
    "empty cell": (_set(4, slice(None), 0), [], "1 empty cell (first: 'cell4')"),
    "empty gene": (_set(slice(None), 5, 0), [], "1 empty gene (first: 'gene5')"),
    "no cells": (_edit(lambda adata: adata[:0].copy()), [], "found 0 cells"),
    "no number": (KEEP, ["--n-components", "many"], "at least 1 or auto, found 'many'"),
    "no components": (KEEP, ["--n-components", "0"], "at least 1 or auto, found '0'"),
    "too many components": (KEEP, ["--n-components", "61"], "number of cells (60), found 61"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case, tmp_path, fake):
    make, options, sentence = BAD[case]
    cells = tmp_path / "cells.h5ad"
    make(cells)
    before = files(tmp_path), cells.exists() and hashlib.sha256(cells.read_bytes()).digest()
    result = run("cluster", cells, "-o", tmp_path / "out.h5ad", *options)
    assert result.exit_code == 2, result.output
    assert sentence in result.stderr
    assert result.stderr.startswith("mixvi: error: expected ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert not fake
    after = files(tmp_path), cells.exists() and hashlib.sha256(cells.read_bytes()).digest()
    assert after == before


def test_drop_empty(tmp_path, fake):
    cells, out = tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    adata = small()
    X = adata.X.toarray()
    X[4], X[:, 5] = 0, 0
    adata.X = sparse.csr_matrix(X)
    adata.write_h5ad(cells)
    assert run("cluster", cells, "-o", out, "--drop-empty").exit_code == 0
    assert ad.read_h5ad(out).shape == (N_CELLS - 1, N_GENES - 1)


def test_empty_genes_that_are_not_trained_on_do_no_harm(tmp_path, fake):
    cells, out = tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    adata = small()
    X = adata.X.toarray()
    X[:, 5] = 0
    adata.X = sparse.csr_matrix(X)
    adata.write_h5ad(cells)
    options = ["-o", out, "-q", "--n-top-genes", 10]
    assert run("cluster", cells, *options).exit_code == 0
    written = ad.read_h5ad(out)
    assert written.shape == (N_CELLS, N_GENES)
    assert not written.var["highly_variable"].iloc[5]
    adata.var["highly_variable"] = np.arange(N_GENES) < 8  # with the empty one
    adata.write_h5ad(cells)
    result = run("cluster", cells, *options, "--force")
    assert result.exit_code == 2
    assert "1 empty gene (first: 'gene5')" in result.stderr
    assert "--drop-empty" in result.stderr
    assert ad.read_h5ad(out).shape == written.shape  # of the first run
    assert len(fake) == 1


@pytest.mark.parametrize("option", ["-o", "--model-dir"])
def test_existing_output_needs_force(option, cells, tmp_path, fake):
    targets = {"-o": tmp_path / "out.h5ad", "--model-dir": tmp_path / "model"}
    if option == "-o":
        targets[option].write_text("old")
    else:
        targets[option].mkdir()
        (targets[option] / "adata.h5ad").touch()
    arguments = ["cluster", cells, *(item for pair in targets.items() for item in pair)]
    result = run(*arguments)
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert not fake
    assert run(*arguments, "--force").exit_code == 0
    assert ad.read_h5ad(targets["-o"]).n_obs == N_CELLS
    assert files(targets["--model-dir"]) == ["model.pt"]


def test_unwritable_output_is_noticed_before_training(cells, tmp_path, fake):
    for out in (tmp_path / "nowhere" / "out.h5ad", cells / "out.h5ad"):
        result = run("cluster", cells, "-o", out)
        assert result.exit_code == 2
        assert "error: " in result.stderr
        assert "Traceback" not in result.output
    assert not fake


def test_failure_in_training_keeps_its_traceback_and_old_output(cells, tmp_path, monkeypatch):
    def broken(adata, n_components, **kwargs):
        raise RuntimeError("not foreseen")

    monkeypatch.setattr("mixvi.tl.cgmdvae", broken)
    out = tmp_path / "out.h5ad"
    out.write_text("old")
    result = run("cluster", cells, "-o", out, "--force", "--model-dir", tmp_path / "model")
    assert result.exit_code == 1
    assert isinstance(result.exception, RuntimeError)
    assert out.read_text() == "old"
    assert files(tmp_path) == ["cells.h5ad", "out.h5ad"]


def test_demo_refuses_a_file_as_directory(cells, fake):
    result = run("demo", "-o", cells)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


@pytest.mark.filterwarnings("default")  # of UMAP and its compiler
def test_demo_twice(tmp_path, fake):
    out = tmp_path / "demo"
    for _ in range(2):
        result = run("demo", "-o", out)
        assert result.exit_code == 0, result.output
        assert files(out) == ["model", "pbmc.h5ad", "report.html", "umap.png"]
    assert "X_umap" in ad.read_h5ad(out / "pbmc.h5ad").obsm
    assert "3 clusters of 7 components" in result.stdout
    assert str(out / "umap.png") in result.stdout
    assert result.stdout.splitlines()[-1].startswith(str(out / "report.html"))
    assert "700 blood cells" in (out / "report.html").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_end_to_end(cells, tmp_path):
    out, model = tmp_path / "out.h5ad", tmp_path / "model"
    options = ["--n-components", 4, "--max-epochs", 2, "--accelerator", "cpu", "--n-top-genes", 20]
    result = run(
        "cluster", cells, "-o", out, "--model-dir", model, "--batch-key", "batch",
        "--score-against", "cell_type", *options,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    written = ad.read_h5ad(out)
    assert written.obsm["cgmdvae_probs"].shape == (N_CELLS, 4)
    assert written.obs["cgmdvae_confidence"].between(0.25, 1).all()
    assert files(model)
    again = tmp_path / "again.h5ad"
    run("cluster", cells, "-o", again, "-q", "--batch-key", "batch", *options)
    np.testing.assert_array_equal(ad.read_h5ad(again).obsm["X_cgmdvae"], written.obsm["X_cgmdvae"])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_cells_on_the_disk_stay_there(cells, tmp_path):
    out = tmp_path / "out.h5ad"
    options = ["--n-components", 3, "--max-epochs", 2, "--accelerator", "cpu", "--n-top-genes", 20]
    result = run("cluster", cells, "-o", out, "--backed", "--score-against", "cell_type", *options)
    assert result.exit_code == 0, result.output
    written = ad.read_h5ad(out)
    assert (written.X != small().X).nnz == 0
    assert written.var["highly_variable"].sum() == 20
    assert written.obsm["cgmdvae_probs"].shape == (N_CELLS, 3)
    assert "cell_type" in written.obs


@pytest.mark.parametrize("option", [("--layer", "counts"), ("--drop-empty",)])
def test_on_the_disk_only_x_as_it_is(cells, tmp_path, option):
    result = run("cluster", cells, "-o", tmp_path / "out.h5ad", "--backed", *option)
    assert result.exit_code == 2
    assert "--backed" in result.output


def test_method_and_number_of_clusters(cells, fake, tmp_path):
    output = tmp_path / "out.h5ad"
    assert run("cluster", cells, "-o", output, "-q").exit_code == 0
    assert (fake[-1]["method"], fake[-1]["n_components"]) == ("cgmdvae", "auto")
    options = ["--method", "rmve", "--n-components", 4, "--force", "-q"]
    assert run("cluster", cells, "-o", output, *options).exit_code == 0
    assert (fake[-1]["method"], fake[-1]["n_components"]) == ("rmve", 4)
    assert "rmve" in ad.read_h5ad(output).obs


def test_report_of_a_run(cells, tmp_path, fake):
    output, page = tmp_path / "out.h5ad", tmp_path / "page.html"
    options = ["-o", output, "--report", page, "--score-against", "cell_type"]
    result = run("cluster", cells, *options)
    assert result.exit_code == 0, result.output
    assert f"wrote {page}" in result.stdout.replace("\n", " ")
    assert "<h1>cells.h5ad</h1>" in page.read_text("utf-8")
    assert "Against cell_type" in page.read_text("utf-8")
    assert run("cluster", cells, *options).exit_code == 2  # there already


def test_report_that_fails_leaves_the_cells(cells, tmp_path, fake, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("not foreseen")

    monkeypatch.setattr("mixvi.cli.write_report", broken)
    output, page = tmp_path / "out.h5ad", tmp_path / "page.html"
    result = run("cluster", cells, "-o", output, "--report", page)
    assert result.exit_code == 1
    assert ad.read_h5ad(output).n_obs == N_CELLS
    assert files(tmp_path) == ["cells.h5ad", "out.h5ad"]


def test_report_of_a_file(cells, tmp_path, fake):
    output, page = tmp_path / "out.h5ad", tmp_path / "page.html"
    run("cluster", cells, "-o", output, "-q", "--key-added", "mix")
    result = run("report", output, "-o", page, "--labels-key", "batch", "--title", "My cells")
    assert (result.exit_code, result.stdout.replace("\n", "")) == (0, f"wrote {page}")
    assert "<h1>My cells</h1>" in page.read_text("utf-8")
    for options, sentence in {
        ("--key", "other"): "expected a run of mixvi 'other'",
        ("--labels-key", "typo"): "'typo' in adata.obs",
        ("--basis", "X_tsne"): "'X_tsne' in adata.obsm",
        (): "pass --force",
    }.items():
        force = ["--force"] if options else []
        result = run("report", output, "-o", page, *options, *force)
        assert result.exit_code == 2
        assert sentence in result.stderr
        assert "My cells" in page.read_text("utf-8")
