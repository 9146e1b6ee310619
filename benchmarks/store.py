"""Results as JSON rows: appended one at a time, resumed, never half written."""

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Row = dict[str, Any]
PACKAGES = ("mixvi", "scvi-tools", "scanpy", "anndata", "igraph", "scikit-learn", "torch", "numpy")
OF_BENCHMARKS = ("drvi-py", "clustpy")


def read_rows(path: Path) -> list[Row]:
    """Rows of a results file, none if there is no file yet."""
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []


def finished(path: Path, keys: tuple[str, ...]) -> set[tuple[Any, ...]]:
    """Values of ``keys`` in the rows that are there."""
    return {tuple(row[key] for key in keys) for row in read_rows(path)}


def add_row(path: Path, row: Row, keys: tuple[str, ...]) -> None:
    """Write ``row`` to the file, in place of a row with the same values of ``keys`` if any.

    The file is replaced as a whole, and the folder is locked meanwhile: two runs may write to
    one file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent):
        rows = [old for old in read_rows(path) if any(old[key] != row[key] for key in keys)]
        rows = sorted([*rows, row], key=lambda r: [r[key] for key in keys])
        partial = path.with_name(path.name + ".partial")
        partial.write_text(
            json.dumps({"rows": rows}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        os.replace(partial, path)


def provenance() -> Row:
    """Date (UTC), Python, machine type, threads and package versions of this process."""
    import torch

    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "accelerator": "cuda" if torch.cuda.is_available() else "cpu",
        "torch_threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in PACKAGES} | versions_if_there(OF_BENCHMARKS),
    }


def versions_if_there(names: tuple[str, ...]) -> dict[str, str]:
    """Versions of those packages that are installed."""
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
