"""Models in directories: which one it is, and what is wrong with it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from .manifest import check_manifest
from .saving import FILE, check_there

__all__ = ["load_reference"]


def load_reference(reference: Any, classes: Sequence[type]) -> Any:
    """Give the trained model that a reference is, from its directory where it is one.

    The AnnData that may have been saved with it is not read.

    Parameters
    ----------
    reference
        A model, or the directory it was saved to.
    classes
        What it may be.

    Raises
    ------
    FileNotFoundError
        If there is no such directory, or no model in it.
    ValueError
        If the file is damaged, or the model is of another class or not trained.
    """
    names = " or ".join(cls.__name__ for cls in classes)
    if isinstance(reference, str | PathLike):
        model = _load(Path(reference), classes, names)
    else:
        model = reference
        if not isinstance(model, tuple(classes)):
            raise ValueError(
                f"expected a {names} or the directory of a saved one, found "
                f"{type(model).__name__}; pass the reference's own class"
            )
    if not model.is_trained:
        raise ValueError(f"expected a trained reference, found {model!r}; call train() first")
    return model


def _load(directory: Path, classes: Sequence[type], names: str) -> Any:
    check_there(directory, directory / FILE, names)
    check_manifest(directory, None, with_cells=False)
    known: dict[str, Any] = {cls.__name__: cls for cls in classes}
    try:
        name = str(classes[0].load_registry(str(directory)).get("model_name"))  # type: ignore[attr-defined]
    except Exception as error:
        raise _damaged(directory, names, error) from error
    if name not in known:
        raise ValueError(
            f"expected a saved {names}, found a saved {name} in {str(directory)!r}; pass the "
            "directory of a mixvi model"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return known[name].load(str(directory), adata=False)
    except Exception as error:
        raise _damaged(directory, names, error) from error


def _damaged(directory: Path, names: str, error: Exception) -> Exception:
    if str(error).startswith("expected "):  # says it better
        return error
    first = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
    return ValueError(
        f"expected a directory written by {names}.save, found a damaged or foreign {FILE} in "
        f"{str(directory)!r} ({first}); save the reference again"
    )
