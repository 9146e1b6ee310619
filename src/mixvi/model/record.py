"""What is kept about a run, so that it can be read and repeated without its model."""

from __future__ import annotations

import ast
import inspect
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

__all__ = ["call", "run_record"]

LINE = 88
VERSIONS = ("mixvi", "scvi-tools", "torch", "scanpy", "anndata")
NOT_OF_THE_RESULT = ("datamodule", "enable_progress_bar")


def run_record(model: Any) -> dict[str, Any]:
    """Model, parameters, columns, training curves, date and versions, as ``.h5ad`` can hold them.

    Parameters
    ----------
    model
        Trained model.

    Returns
    -------
    ``model`` (class), ``params`` and ``setup`` (without what is ``None``), ``n_genes`` (that were
    trained on), ``history`` (one number per epoch for every term, NaN before the term begins),
    ``max_epochs``, ``call`` (Python that does the same again), ``date``, ``versions``.
    """
    params = _given(model.init_params_["non_kwargs"])
    if model.merges_:
        params["n_components"] = "auto"
    setup = _given(model.registry_["setup_args"])
    history = _curves(model.history_ or {})
    n_epochs = max(map(len, history.values()), default=0)
    trainer = getattr(model, "trainer", None)  # a loaded model has none
    max_epochs = n_epochs if trainer is None else int(trainer.max_epochs)
    name = type(model).__name__
    defaults = inspect.signature(type(model)).parameters
    changed = {key: value for key, value in params.items() if value != defaults[key].default}
    steps = [
        call(f"mixvi.model.{name}.setup_anndata", "adata", **setup),
        "model = " + call(f"mixvi.model.{name}", "adata", **changed),
        call("model.train", max_epochs=max_epochs),
        "model.annotate()",
    ]
    return {
        "model": name,
        "params": params,
        "setup": {key: list(v) if isinstance(v, tuple) else v for key, v in setup.items()},
        "n_genes": int(model.summary_stats.n_vars),
        "history": history,
        "max_epochs": max_epochs,
        "call": "\n".join(steps),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": dict(_versions()),
    }


def call(function: str, *first: str, **arguments: Any) -> str:
    """Python text of a call.

    Parameters
    ----------
    function
        What is called.
    *first
        Positional arguments, as they are to be written.
    **arguments
        Values by name; those that are ``None``, empty, or have no literal are left out.
    """
    words = [*first]
    for name, value in arguments.items():
        if isinstance(value, dict):
            value = _given(value)
        if value is not None and value != {} and _is_literal(value):
            words.append(f"{name}={value!r}")
    line = f"{function}({', '.join(words)})"
    if len(line) <= LINE or not words:
        return line
    return f"{function}(\n" + "".join(f"    {word},\n" for word in words) + ")"


@cache  # each is read from a file
def _versions() -> dict[str, str]:
    return {name: version(name) for name in VERSIONS}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None and k not in NOT_OF_THE_RESULT}


def _is_literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError):
        return False


def _curves(history: dict[str, Any]) -> dict[str, np.ndarray]:
    """Every term as long as the longest: one that begins later is missing before."""
    curves = {name: frame.iloc[:, 0].to_numpy(dtype=float) for name, frame in history.items()}
    n = max(map(len, curves.values()), default=0)
    return {name: np.pad(v, (n - len(v), 0), constant_values=np.nan) for name, v in curves.items()}
