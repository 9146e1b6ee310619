"""Saving and loading: whole files or none, and no code from a file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, Self

from anndata import AnnData
from scvi.model.base import BaseMinifiedModeModelClass

from mixvi._files import filling_directory
from mixvi._only_weights import Inert, only_weights, read_weights
from mixvi.distributions.ranks import rank
from mixvi.train.history import as_tables, as_values

from .manifest import check_manifest, manifest_name, write_manifest
from .modality import as_anndata

__all__ = ["FILE", "SavingMixin", "check_there"]

FILE = "model.pt"


class SavingMixin(BaseMinifiedModeModelClass):
    """scvi-tools' files, with a manifest beside them."""

    history_: dict[str, Any] | None
    registry_: dict[str, Any]

    def save(
        self,
        dir_path: str | PathLike[str],
        prefix: str | None = None,
        overwrite: bool = False,
        save_anndata: bool = False,
        **kwargs: Any,
    ) -> None:
        """Save the model to a directory.

        Everything is written beside ``dir_path`` first: a full disk or a lost process leave there
        what was there before. Of several processes the first one writes.

        Parameters
        ----------
        dir_path
            Directory.
        prefix
            Of the files' names; a directory may hold several models.
        overwrite
            Replace a model that is there.
        save_anndata
            Save the cells too.
        **kwargs
            For scvi-tools' ``save``.

        Raises
        ------
        ValueError
            If there is such a directory.
        OSError
            If it cannot be written.
        """
        if rank() > 0:
            return
        target = Path(dir_path)
        if target.exists() and not overwrite:
            raise ValueError(
                f"expected a new directory, found that {str(target)!r} already exists; choose "
                "another or pass overwrite=True"
            )
        name = f"{prefix or ''}{FILE}"
        cells = f"{prefix or ''}adata.h5ad"
        # cells of a data module: what scvi-tools would ask the module for is in the registry
        registry = self.registry_
        own = {"setup_method_name": "setup_anndata", "model_name": type(self).__name__}
        self.registry_ = {**registry, **own}
        with filling_directory(target, first=manifest_name(prefix), remove=[cells]) as directory:
            try:
                super().save(str(directory), prefix, True, save_anndata, **kwargs)
            except (OSError, RuntimeError) as error:
                raise OSError(
                    f"expected to write {name!r} to {str(target)!r}, found: "
                    f"{(str(error) or type(error).__name__).splitlines()[0][:120]}; free space on "
                    "the disk or choose another directory"
                ) from error
            finally:
                self.registry_ = registry
            write_manifest(directory, prefix, type(self).__name__, target)

    @classmethod
    def load(
        cls,
        dir_path: str | PathLike[str],
        adata: AnnData | bool | None = None,
        accelerator: str = "auto",
        device: int | str = "auto",
        prefix: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Load a saved model. Nothing in its files is run.

        Parameters
        ----------
        dir_path
            Directory that :meth:`save` wrote.
        adata
            Cells like those it was made with; by default those saved with it, ``False``: none.
        accelerator, device
            Where the model shall be.
        prefix
            Of the files' names.
        **kwargs
            For scvi-tools' ``load``.

        Raises
        ------
        FileNotFoundError
            If there is no model.
        ValueError
            If a file is damaged, holds anything but weights and plain values, was written by a
            newer version, or is another class's.
        """
        directory, path = Path(dir_path), Path(dir_path) / f"{prefix or ''}{FILE}"
        if kwargs.get("backup_url") is None:
            check_there(directory, path, cls.__name__)
        names = check_manifest(directory, prefix, with_cells=adata is None)
        if adata is None and names is not None and f"{prefix or ''}adata.h5ad" not in names:
            adata = False  # one that lies there is not this model's
        if path.is_file():
            attributes = read_weights(path)["attr_dict"]
            saved = attributes["registry_"].get("model_name", cls.__name__)
            if saved not in (cls.__name__, *(kwargs.get("allowed_classes_names_list") or [])):
                raise ValueError(
                    f"expected a saved {cls.__name__}, found a saved {saved} in "
                    f"{str(directory)!r}; load it with its own class"
                )
            setup = attributes["registry_"].get("setup_args", {})
            adata = as_anndata(adata, attributes.get("modality_"), setup)
        with only_weights(path):
            model = super().load(str(directory), adata, accelerator, device, prefix, **kwargs)
        model.history_ = _as_tables(model.history_)
        return model

    @staticmethod
    def load_registry(dir_path: str | PathLike[str], prefix: str | None = None) -> dict[str, Any]:
        """What a saved model knows of its data.

        Parameters
        ----------
        dir_path, prefix
            As in :meth:`load`.
        """
        path = Path(dir_path) / f"{prefix or ''}{FILE}"
        check_there(path.parent, path, "model")
        return read_weights(path)["attr_dict"]["registry_"]

    @classmethod
    def convert_legacy_save(cls, *args: Any, **kwargs: Any) -> None:
        """Not there: no model of this family was ever saved so, and reading it could run code."""
        raise NotImplementedError(
            "expected a model that mixvi saved, found the format of scvi-tools before 0.15; no "
            "model of this family has it"
        )

    def _get_user_attributes(self) -> list[tuple[str, Any]]:
        """What is saved, as plain values: tables of pandas change with its version."""
        return [
            (name, as_values(value) if name == "history_" else value)
            for name, value in super()._get_user_attributes()
        ]


def check_there(directory: Path, path: Path, names: str) -> None:
    """Check that there is a saved model.

    Raises
    ------
    FileNotFoundError
        If not.
    """
    if not path.is_file():
        found = "no directory" if not directory.is_dir() else f"no {path.name} in it"
        raise FileNotFoundError(
            f"expected a directory written by {names}.save, found {found} ({str(directory)!r}); "
            "check the path, or save the reference again"
        )


def _as_tables(history: dict[str, Any] | None) -> dict[str, Any] | None:
    """A history as scvi-tools has it; files without a manifest held pandas' own tables."""
    if history is None:
        return None
    plain = {}
    for name, saved in history.items():
        if isinstance(saved, Inert):
            values = saved.numbers() or []
            saved = {"index": list(range(len(values))), "values": values}
        plain[name] = saved
    return as_tables(plain)
