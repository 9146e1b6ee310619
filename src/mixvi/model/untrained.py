"""Models that have not been trained have nothing to say yet."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

__all__ = ["check_trained", "only_trained"]

Model = TypeVar("Model", bound=type)
# scvi-tools answers these with what the initial weights happen to say
ANSWERED = (
    "differential_expression",
    "get_elbo",
    "get_feature_correlation_matrix",
    "get_likelihood_parameters",
    "get_normalized_expression",
    "get_reconstruction_error",
    "minify_adata",
    "posterior_predictive_sample",
)


def check_trained(model: Any) -> None:
    """Check that a model was trained.

    Raises
    ------
    RuntimeError
        If it was not.
    """
    if not model.is_trained:
        raise RuntimeError(f"{model!r} is not trained; call train() first")


def only_trained(cls: Model) -> Model:
    """Let a class of models refuse accessors before training that scvi-tools would answer.

    Parameters
    ----------
    cls
        The class; it is changed.
    """
    for name in ANSWERED:
        setattr(cls, name, _checked(getattr(cls, name)))
    return cls


def _checked(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_trained(self)
        return method(self, *args, **kwargs)

    return checked
