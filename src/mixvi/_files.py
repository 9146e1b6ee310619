"""Outputs that appear whole or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["filling_directory", "replacing", "replacing_directory"]

OF_A_MODEL = {"model.pt", "mixvi.json", "adata.h5ad"}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file that takes the place of ``path`` if the block succeeds.

    The file is made at once, in the same directory, so that a directory that cannot be written is
    noticed before the work and the final rename is atomic. On failure it is removed, and whatever
    was at ``path`` stays.

    Parameters
    ----------
    path
        The file to write; links are followed.

    Raises
    ------
    OSError
        If the directory is missing or cannot be written, or ``path`` is a directory or a device.
    """
    path = Path(os.path.realpath(path))  # Path.resolve may fail where links go round
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "a directory or a device", str(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    # Not tempfile.mkstemp: its files are private, and results follow the umask.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_directory(path: Path) -> Iterator[Path]:
    """Give a path, yet to be made, for a directory that takes the place of ``path`` on success.

    Parameters
    ----------
    path
        The directory to write; one that is there may hold files of a model only.

    Raises
    ------
    OSError
        If the parent directory is missing or cannot be written, or other files would be lost.
    """
    path = Path(os.path.realpath(path))
    if path.is_dir() and any(file.name not in OF_A_MODEL for file in path.iterdir()):
        raise OSError(errno.ENOTEMPTY, "a directory with other files than a model's", str(path))
    workplace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        yield workplace / "new"
        if not path.exists():
            (workplace / "new").rename(path)
            return
        path.rename(workplace / "old")
        try:
            (workplace / "new").rename(path)
        except BaseException:
            (workplace / "old").rename(path)
            raise
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


@contextmanager
def filling_directory(path: Path, *, first: str, remove: Sequence[str]) -> Iterator[Path]:
    """Give an empty directory whose files all go to ``path`` on success.

    A new directory appears at once. In one that is there files are replaced one after the other,
    and others are left alone.

    Parameters
    ----------
    path
        The directory to write to.
    first
        Name of the file that goes first; the others follow by name.
    remove
        Names of files to remove where no new one takes their place.

    Raises
    ------
    OSError
        If the parent directory cannot be written.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        new = workplace / "new"
        new.mkdir()
        yield new
        written = sorted(new.iterdir(), key=lambda file: (file.name != first, file.name))
        for file in written:
            _sync(file)
        if not path.exists():
            new.rename(path)
        else:
            for file in written:
                file.replace(path / file.name)
            for name in set(remove) - {file.name for file in written}:
                (path / name).unlink(missing_ok=True)
        _sync(path)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _sync(path: Path) -> None:
    """Wait until a file or directory is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
