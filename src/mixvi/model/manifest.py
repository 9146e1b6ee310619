"""What lies beside a saved model: the version of its format, and what its files must be."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

__all__ = ["FORMAT", "check_manifest", "manifest_name", "write_manifest"]

FORMAT = 2


def manifest_name(prefix: str | None) -> str:
    """Name of the file."""
    return f"{prefix or ''}mixvi.json"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(directory: Path, prefix: str | None, model: str, replaced: Path) -> None:
    """Write down what was just written.

    Parameters
    ----------
    directory
        Directory with the files of a model.
    prefix
        Of their names.
    model
        Name of the model's class.
    replaced
        Directory whose files these will take the place of, one after the other: until the last
        one has, the old ones are right too.
    """
    files = {}
    for path in sorted(directory.iterdir()):
        old = replaced / path.name
        files[path.name] = [_digest(path), *([_digest(old)] if old.is_file() else [])]
    content = {"format": FORMAT, "mixvi": version("mixvi"), "model": model, "sha256": files}
    (directory / manifest_name(prefix)).write_text(json.dumps(content, indent=1))


def check_manifest(directory: Path, prefix: str | None, *, with_cells: bool) -> set[str] | None:
    """Check the files of a model before they are read.

    Parameters
    ----------
    directory
        Directory that a model was saved to.
    prefix
        Of its files' names.
    with_cells
        Whether a saved AnnData will be read too.

    Returns
    -------
    Names of the model's files, or ``None`` if it was saved before there was a manifest.

    Raises
    ------
    ValueError
        If a newer mixvi wrote them, or a file is not what it was.
    """
    path = directory / manifest_name(prefix)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text())
        written, by, digests = content["format"], content["mixvi"], dict(content["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"expected format and checksums of the model in {str(path)!r}, found it damaged; "
            "save the model again, or restore the file"
        ) from error
    if written > FORMAT:
        raise ValueError(
            f"expected a model of format {FORMAT} or older in {str(directory)!r}, found format "
            f"{written}, written by mixvi {by}; install that version or a later one"
        )
    for name, known in digests.items():
        if not with_cells and name.endswith(".h5ad"):
            continue
        file = directory / name
        if not file.is_file() or _digest(file) not in known:
            found = "another content" if file.is_file() else "no such file"
            raise ValueError(
                f"expected {name!r} in {str(directory)!r} as it was saved, found {found}; it was "
                "damaged on the way: copy or save the model again"
            )
    return set(digests)
