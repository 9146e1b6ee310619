"""Outputs appear whole or not at all, whatever happens to the disk."""

import errno
import os
from pathlib import Path

import anndata as ad
import pytest
from tests.trust.cells import cells, contents, files
from typer.testing import CliRunner

from mixvi import tl
from mixvi._files import replacing
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
