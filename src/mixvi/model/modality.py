"""One modality of a MuData, in place of an AnnData."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, TypeVar

from anndata import AnnData
from scvi.model.base import BaseMinifiedModeModelClass

from .cells import check_anndata
from .columns import listing

__all__ = ["ModalityMixin", "as_anndata", "of_mudata"]

Model = TypeVar("Model", bound=type)
ATTRIBUTE = "_mixvi_modalities"  # of a MuData: the modality set up, by the class of the model


def is_mudata(cells: Any) -> bool:
    """Whether this is a MuData; not asked by class, since nothing else of it is needed."""
    return isinstance(getattr(cells, "mod", None), Mapping)


def as_anndata(cells: Any, modality: str | None, setup: Mapping[str, Any]) -> Any:
    """The AnnData that a MuData stands for; anything else as it is.

    Parameters
    ----------
    cells
        A MuData, or something else.
    modality
        Name of the modality, ``None`` if none was chosen.
    setup
        Arguments of ``setup_anndata``. A column they name that only ``mdata.obs`` has is copied to
        the modality; its cells need not be all those of the MuData.

    Raises
    ------
    KeyError
        If there is no such modality.
    TypeError
        If no modality of a MuData was chosen.
    """
    if not is_mudata(cells):
        return cells
    if modality is None:
        check_anndata(cells)  # says what to do
    if modality not in cells.mod:
        raise KeyError(
            f"expected a modality of the MuData ({listing(cells.mod)}), found {modality!r}; "
            "name one of these"
        )
    adata: AnnData = cells.mod[modality]
    for key in _columns(setup):
        if key not in adata.obs and key in cells.obs:
            adata.obs[key] = cells.obs[key].reindex(adata.obs_names)
    return adata


def _columns(setup: Mapping[str, Any]) -> Iterable[str]:
    """Names of columns among arguments of ``setup_anndata``."""
    for name, value in setup.items():
        if name.endswith("_key") and value is not None:
            yield value
        elif name.endswith("_keys") and value is not None:
            yield from [value] if isinstance(value, str) else value


class ModalityMixin(BaseMinifiedModeModelClass):
    """A MuData stands for the modality that was set up, wherever cells are asked for.

    Attributes
    ----------
    modality_
        Name of the modality; ``None`` for a model that was made from an AnnData.
    """

    modality_: str | None = None

    def __init__(self, adata: Any = None, registry: dict[str, Any] | None = None):
        if is_mudata(adata):
            self.modality_ = vars(adata).get(ATTRIBUTE, {}).get(type(self).__name__)
            adata = as_anndata(adata, self.modality_, {})
        super().__init__(adata, registry)

    @classmethod
    def setup_mudata(cls, mdata: Any, modality: str, **setup: Any) -> None:
        """Tell the model which modality of a MuData holds its cells, and where things are in it.

        The model is one of that modality's AnnData: results are written there
        (``mdata.pull_obs()`` shows them in ``mdata.obs``), and cells that only other modalities
        have are not in it. From then on a MuData can be passed wherever an AnnData can; of
        another MuData the modality of the same name is taken.

        Parameters
        ----------
        mdata
            A :class:`mudata.MuData`.
        modality
            Name of the modality with the counts.
        **setup
            For :meth:`setup_anndata`. Columns that only ``mdata.obs`` has are copied to the
            modality.

        Raises
        ------
        KeyError
            If there is no such modality, or it lacks a column or layer.
        TypeError
            If ``mdata`` is not a MuData.
        ValueError
            As in :meth:`setup_anndata`.

        Examples
        --------
        >>> mixvi.model.RMVE.setup_mudata(mdata, "rna", batch_key="donor")  # doctest: +SKIP
        >>> model = mixvi.model.RMVE(mdata)  # doctest: +SKIP
        """
        if not is_mudata(mdata):
            raise TypeError(
                f"expected a MuData, found {type(mdata).__name__}; an AnnData is registered by "
                "setup_anndata"
            )
        cls.setup_anndata(as_anndata(mdata, modality, setup), **setup)
        vars(mdata).setdefault(ATTRIBUTE, {})[cls.__name__] = modality

    def _modality_of(self, cells: Any) -> Any:
        """The AnnData that a MuData stands for; anything else as it is."""
        return as_anndata(cells, self.modality_, self.registry_["setup_args"])


def of_mudata(cls: Model) -> Model:
    """Let the methods of a class of models that take ``adata`` take a MuData, too.

    Parameters
    ----------
    cls
        The class, a :class:`ModalityMixin`; it is changed.
    """
    for name, method in inspect.getmembers(cls, inspect.isfunction):
        takes = inspect.signature(method).parameters.keys() & {"adata", "args"}
        if takes and not name.startswith("_"):
            setattr(cls, name, _with_modality(method))
    return cls


def _with_modality(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        args = tuple(self._modality_of(each) for each in args)
        kwargs = {name: self._modality_of(each) for name, each in kwargs.items()}
        return method(self, *args, **kwargs)

    return called
