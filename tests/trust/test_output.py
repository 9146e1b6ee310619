"""Outputs appear whole or not at all, whatever happens to the disk."""

import errno
import os
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
from tests.trust.cells import (
    N_CELLS,
    N_GENES,
    cells,
    contents,
    edited,
    files,
    with_column,
    with_entry,
    with_matrix,
)
from typer.testing import CliRunner

from mixvi import tl
from mixvi._files import replacing, replacing_directory
from mixvi.cli import app

pytestmark = pytest.mark.contract


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cells.h5ad"
    cells().write_h5ad(path)
    return path


@pytest.fixture
def quick(monkeypatch):
    """No training: what is written is what matters here."""

    def stand_in(adata, n_components="auto", *, key_added, save=None, **kwargs):
        adata.obs[key_added] = adata.obs["component"].astype("category")
        adata.obs[f"{key_added}_confidence"] = 0.9
        adata.obs[f"{key_added}_novel"] = False

    monkeypatch.setattr(tl, "cgmdvae", stand_in)
    monkeypatch.setattr(tl, "transfer", lambda adata, *_, key_added, **kw: stand_in(
        adata, key_added=key_added
    ))  # fmt: skip


def full_disk(error):
    """A write that gets half way."""

    def write(self, path, **kwargs):
        with open(path, "wb") as file:
            file.write(b"\x89HDF\r\n\x1a\n" + bytes(100))
        if error is not None:
            raise error

    return write


NULL = Path(os.devnull)
FAULTS = {
    "no space": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "HDF5": OSError("[Errno 28] Unable to extend file properly"),
    "HDF5 when it closes": RuntimeError("Can't decrement id ref count (file write failed)\nmore"),
    "silence": None,
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", ["cluster", "map"])
@pytest.mark.parametrize("there", [False, True])
def test_full_disk(command, there, fault, path, quick, monkeypatch, tmp_path):
    output = tmp_path / "out.h5ad"
    if there:
        output.write_text("the results of last week")
    before = files(tmp_path)
    monkeypatch.setattr(ad.AnnData, "write_h5ad", full_disk(FAULTS[fault]))
    options = ["--reference", path, "--labels-key", "component"] if command == "map" else []
    result = run(command, path, "-o", output, "--force", *options)
    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines()[-1].startswith("mixvi: error: expected to write the cells")
    assert "free space" in result.stderr
    assert files(tmp_path) == before


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("command", ["cluster", "map"])
def test_truncated_file(command, share, path, tmp_path, quick):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    before = files(tmp_path)
    options = ["--reference", path, "--labels-key", "component"] if command == "map" else []
    result = run(command, path, "-o", tmp_path / "out.h5ad", *options)
    assert result.exit_code == 2
    assert result.stderr.startswith("mixvi: error: expected a readable .h5ad file")
    assert result.stderr.count("\n") == 1
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "options",
    [
        ("--key-added", "a/b"),
        ("--key-added", ""),
        ("--n-components", "49"),
        ("--n-components", "1.5"),
        ("--layer", "counts"),
        ("--batch-key", "bach"),
        ("--continuous-covariate-key", "batch"),
        ("--model-dir", "/proc/nowhere/model"),
        ("-o", "/proc/nowhere/out.h5ad"),
        ("-o", "."),
        ("--accelerator", "mps"),
        ("--key-added", "."),
        ("-o", "x" * 300 + ".h5ad"),
    ],
    ids=" ".join,
)
def test_bad_option(options, path, tmp_path, quick):
    before = files(tmp_path), contents(ad.read_h5ad(path))
    result = run("cluster", path, "-o", tmp_path / "out.h5ad", *options)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("mixvi: error: expected ")
    assert result.stderr.count("\n") == 1
    assert (files(tmp_path), contents(ad.read_h5ad(path))) == before


# every act of the suite on bad cells is one of the API; these are the same cells in a file
CELLS = {
    "NaN": (with_entry(np.nan), "found NaN (cell 'cell_3', gene 'gene_4')"),
    "infinite": (with_entry(np.inf), "found inf"),
    "negative": (with_entry(-1), "negative value -1"),
    "fraction": (with_entry(1.5), "non-integer value 1.5"),
    "no matrix": (with_matrix(lambda X: None), "expected a matrix in adata.X"),
    "no cells": (edited(lambda a: a[:0].copy()), "found 0 cells"),
    "no genes": (edited(lambda a: a[:, :0].copy()), "0 genes"),
    "gene twice": (edited(lambda a: setattr(a, "var_names", ["g"] * N_GENES)), "'g' more than"),
    "missing batch": (with_column("batch", [None, *["b"] * (N_CELLS - 1)]), "1 of 48 cells"),
    "no batch": (edited(lambda a: a.obs.pop("batch") is None), "the column 'batch'"),
    "mask of texts": (
        edited(lambda a: a.var.insert(0, "highly_variable", ["True", "False"] * (N_GENES // 2))),
        "expected True and False in adata.var",
    ),
    "mask of nothing": (
        edited(lambda a: a.var.insert(0, "highly_variable", False)), "found none; check the mask"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.filterwarnings("ignore:.*names are not unique")
def test_bad_cells_in_a_file(name, tmp_path, monkeypatch):
    monkeypatch.setattr(tl, "cgmdvae", lambda *args, **kwargs: pytest.fail("trained"))
    make, sentence = CELLS[name]
    make().write_h5ad(tmp_path / "cells.h5ad")
    before = files(tmp_path)
    options = ["--batch-key", "batch", "--n-top-genes", 10]
    result = run("cluster", tmp_path / "cells.h5ad", "-o", tmp_path / "out.h5ad", *options)
    refused(result, sentence)
    assert files(tmp_path) == before


def refused(result, sentence):
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("mixvi: error: expected ")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


DAMAGES = {
    "no matrix": lambda file: file.__delitem__("X"),
    "no rows": lambda file: file["X"].__delitem__("indptr"),
    "no cells": lambda file: file.__delitem__("obs"),
    "beyond the values": lambda file: file["X/indptr"].__setitem__(-1, 10**6),
    "beyond the genes": lambda file: file["X/indices"].__setitem__(3, 10**6),
    "before the genes": lambda file: file["X/indices"].__setitem__(3, -1),
    "nothing": lambda file: file.clear(),
}


@pytest.mark.parametrize("options", [(), ("--backed",), ("--drop-empty",)], ids=" ".join)
@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_file(name, options, path, tmp_path):
    """Also where it can be read: of parts that do not belong together SciPy reads anything."""
    with h5py.File(path, "r+") as file:
        DAMAGES[name](file)
    before = files(tmp_path)
    result = run("cluster", path, "-o", tmp_path / "out.h5ad", *options)
    refused(result, "expected ")
    assert files(tmp_path) == before


CLASHES = {
    "input": ("cluster", "{cells}", "-o", "{cells}"),
    "input behind a link": ("cluster", "{cells}", "-o", "{link}"),
    "page over the input": ("cluster", "{cells}", "-o", "{out}", "--report", "{cells}"),
    "page over the cells": ("cluster", "{cells}", "-o", "{out}", "--report", "{out}"),
    "model over the cells": ("cluster", "{cells}", "-o", "{out}", "--model-dir", "{out}"),
    "model over everything": ("cluster", "{cells}", "-o", "{out}", "--model-dir", "{here}"),
    "query": ("map", "{cells}", "--reference", "{other}", "-o", "{cells}"),
    "reference": ("map", "{cells}", "--reference", "{other}", "-o", "{other}"),
    "page over the reference": (
        "map", "{cells}", "--reference", "{other}", "-o", "{out}", "--report", "{other}",
    ),
    "page over its cells": ("report", "{cells}", "-o", "{cells}"),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASHES)
def test_what_is_read_is_never_replaced(name, path, tmp_path, quick):
    """Nor one output by another, nor a directory of something else, told to or not."""
    places = {"cells": path, "here": tmp_path, "out": tmp_path / "out.h5ad"}
    places |= {"link": tmp_path / "link.h5ad", "other": tmp_path / "other.h5ad"}
    places["link"].symlink_to(path)
    cells(rng=1).write_h5ad(places["other"])
    before = files(tmp_path)
    command, *arguments = (part.format(**places) for part in CLASHES[name])
    labels = ["--labels-key", "component"] if command == "map" else []
    for force in ([], ["--force"]):
        result = run(command, *arguments, *labels, *force)
        refused(result, "found")
        assert files(tmp_path) == before


def test_option_that_only_the_tool_refuses(path, tmp_path):
    result = run("cluster", path, "-o", tmp_path / "out.h5ad", "--unlabeled-category", "x")
    refused(result, "expected labels_key with unlabeled_category='x'")


def test_output_where_links_go_round(path, tmp_path, quick):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    refused(run("cluster", path, "-o", loop), "pass --force")
    assert run("cluster", path, "-o", loop, "--force", "-q").exit_code == 0
    assert ad.read_h5ad(loop).n_obs == N_CELLS


def test_a_directory_is_replaced_by_a_whole_one(tmp_path):
    """Where the new one cannot take its place the old one does."""
    target = tmp_path / "model"
    target.mkdir()
    (target / "model.pt").write_text("old")
    before = files(tmp_path)
    with pytest.raises(FileNotFoundError), replacing_directory(target):
        pass  # nothing was written
    assert files(tmp_path) == before


def test_devices_are_not_replaced():
    """A file takes the place of what is there: nobody wants one at ``/dev/null``."""
    with pytest.raises(OSError, match="a directory or a device"), replacing(NULL):
        pytest.fail("offered a file to write")
    assert not NULL.is_file()


def test_interrupted_output(tmp_path):
    """Not an exception of the kind that programs expect."""
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(target) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
