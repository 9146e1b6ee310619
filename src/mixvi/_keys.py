"""Every AnnData key that mixvi writes, and nowhere else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from anndata import AnnData
from anndata.utils import make_index_unique

RUNS = {"model", "readout"}  # one of them is in uns[keys.params] of every run


def column_names(names: Iterable[object]) -> pd.Index:
    """Names of clusters as columns of a table in ``obsm``: texts with ``|`` for ``/``.

    Every column is a key of the file that the cells are written to, where ``/`` would open a
    group; anndata refuses it since 0.13.

    Parameters
    ----------
    names
        Names of the clusters, which may hold ``/``.
    """
    return make_index_unique(pd.Index([str(name).replace("/", "|") for name in names], dtype=str))


def novelty_line(run: Mapping[str, Any]) -> float | None:
    """Novelty above which most of the cells of a run count as new, if the run knows one.

    Parameters
    ----------
    run
        ``uns[keys.params]``. If it has a line for the cells that were trained on, the cells are
        the model's own, most of which were.
    """
    names = ("threshold",) if "mode" in run else ("novelty_threshold_trained", "novelty_threshold")
    return next((float(run[name]) for name in names if name in run), None)


def writable(name: str) -> bool:
    """Whether HDF5 can have it as the name of a column."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name not in ("", ".") and "\0" not in name


@dataclass(frozen=True)
class Keys:
    """The keys that one call writes, all made from its ``key_added``.

    Parameters
    ----------
    name
        The ``key_added`` of the call; by default the name of the method, for example
        ``"cgmdvae"``.
    """

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not writable(self.name) or "/" in self.name:
            raise ValueError(
                "expected key_added to be a name that a file can hold, without '/', "
                f"found {self.name!r}; choose another"
            )

    @property
    def latent(self) -> str:
        """``obsm``: mean of q(z|x), cells × latent dimensions."""
        return f"X_{self.name}"

    @property
    def style(self) -> str:
        """``obsm``: mean of q(w|x), cells × style dimensions."""
        return f"X_{self.name}_w"

    @property
    def cluster(self) -> str:
        """``obs``: the most probable cluster, categorical."""
        return self.name

    @property
    def component(self) -> str:
        """``obs``: the most probable component, where clusters are merged components."""
        return f"{self.name}_component"

    @property
    def component_probs(self) -> str:
        """``obsm``: q(y|x), DataFrame cells × components, where clusters are merged ones."""
        return f"{self.name}_component_probs"

    @property
    def probs(self) -> str:
        """``obsm``: q(y|x), DataFrame cells × clusters (:func:`column_names`)."""
        return f"{self.name}_probs"

    @property
    def confidence(self) -> str:
        """``obs``: the probability of the cell's cluster, in [1/K, 1]."""
        return f"{self.name}_confidence"

    @property
    def entropy(self) -> str:
        """``obs``: entropy of q(y|x) over the clusters, in nats; 0 where the model is sure."""
        return f"{self.name}_entropy"

    @property
    def novelty(self) -> str:
        """``obs``: −log p(z), in nats; large where the mixture has no mass."""
        return f"{self.name}_novelty"

    @property
    def novel(self) -> str:
        """``obs``: whether the novelty is above the threshold for known cells."""
        return f"{self.name}_novel"

    @property
    def origin(self) -> str:
        """``obs`` of joined cells: ``"reference"`` or ``"query"``."""
        return f"{self.name}_origin"

    @property
    def stability(self) -> str:
        """``uns``: how well other runs find each cluster again; ``obs``: the cell's cluster's."""
        return f"{self.name}_stability"

    @property
    def params(self) -> str:
        """``uns``: parameters, components, merge tree and versions of the run."""
        return self.name

    def of(self, slot: str) -> list[str]:
        """Every key of one slot of AnnData: ``"obs"``, ``"obsm"`` or ``"uns"``."""
        return {
            "obs": [
                self.cluster,
                self.component,
                self.confidence,
                self.entropy,
                self.novelty,
                self.novel,
            ],
            "obsm": [self.latent, self.style, self.probs, self.component_probs],
            "uns": [self.params],
        }[slot]


class Counterfactual:
    """Keys of the AnnData that ``predict_counterfactual`` returns."""

    latent = "X_counterfactual"  # obsm: z', cells × latent dimensions
    source_latent = "X_source"  # obsm: z
    params = "counterfactual"  # uns: what was asked, and how the shifts were found


@dataclass(frozen=True)
class PlaceKeys:
    """The keys that mapping cells to space writes, all made from its ``key_added``.

    Parameters
    ----------
    name
        The ``key_added`` of the call, by default ``"place"``.
    """

    name: str

    @property
    def predicted(self) -> str:
        """``obsm``: place of every cell by the read-out, cells × coordinates."""
        return f"X_{self.name}"

    @property
    def sd(self) -> str:
        """``obsm``: standard error of each coordinate; ``obs``: of the place, over all of them."""
        return f"{self.name}_sd"

    @property
    def measured(self) -> str:
        """``obsm``: the places that were known, NaN elsewhere."""
        return f"{self.name}_measured"

    @property
    def held_out(self) -> str:
        """``obsm``: place by the read-out fitted without the cell's group, NaN elsewhere."""
        return f"{self.name}_held_out"

    @property
    def error(self) -> str:
        """``obs``: distance of the measured place to that prediction, NaN elsewhere."""
        return f"{self.name}_error"

    @property
    def group(self) -> str:
        """``obs``: what was left out together, missing where no place was measured."""
        return f"{self.name}_group"

    @property
    def params(self) -> str:
        """``uns``: read-out, scores by group, null, parameters."""
        return self.name

    def of(self, slot: str) -> list[str]:
        """Every key of one slot of AnnData: ``"obs"``, ``"obsm"`` or ``"uns"``."""
        return {
            "obs": [self.sd, self.error, self.group],
            "obsm": [self.predicted, self.sd, self.measured, self.held_out],
            "uns": [self.params],
        }[slot]


def check_unclaimed(adata: AnnData, keys: Keys | PlaceKeys) -> None:
    """Check that results replace results, and nothing else that is in the cells.

    Parameters
    ----------
    adata
        Cells that are to be written to.
    keys
        What is to be written.

    Raises
    ------
    ValueError
        If something of these names is there that was not written by mixvi.
    """
    run = adata.uns.get(keys.params)
    if isinstance(run, Mapping) and RUNS & run.keys():
        return
    for slot in ("obs", "obsm", "uns"):
        there = getattr(adata, slot)
        for name in keys.of(slot):
            if name in there:
                raise ValueError(
                    f"expected key_added to name results of mixvi or nothing, found {name!r} in "
                    f"adata.{slot} that mixvi did not write (or whose adata.uns[{keys.params!r}] "
                    "is lost); choose another key_added, or rename or delete it"
                )
