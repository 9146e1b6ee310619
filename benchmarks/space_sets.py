"""Cells with a measured place: what is held out, and along which axis depth is."""

from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.data import clean, prepare

SETS = ("intestine_zonation", "osmfish_cortex", "bdtnp_drosophila")
# The file gives pixels. At .065 µm each, nearest neighbors are 10.6 µm apart (median), which
# suits cells of 100 µm²; taken as µm, the piece of cortex would be 5 cm long.
OSMFISH_PIXEL = 0.065
LAYERS = {
    "Pia Layer 1": 0,
    "Layer 2-3 lateral": 1,
    "Layer 2-3 medial": 1,
    "Layer 3-4": 2,
    "Layer 4": 3,
    "Layer 5": 4,
    "Layer 6": 5,
    "White matter": 6,
}


@dataclass(frozen=True)
class Placed:
    """Cells and where they were measured.

    Attributes
    ----------
    adata
        As :func:`benchmarks.data.prepare` makes them; for intensities both ``X`` and
        ``layers["lognorm"]`` are the intensities.
    places
        ``(n_cells, n_dims)``.
    unit
        Of the places.
    likelihood
        Of the models, ``"nb"`` or ``"normal"``.
    zones
        Names of the zones ``(n_cells,)`` where a place is a zone, otherwise ``None``; then groups
        that are held out are blocks of the tissue.
    axis
        Unit vector ``(n_dims,)`` along which depth grows, if the tissue has one.
    """

    adata: ad.AnnData
    places: np.ndarray
    unit: str
    likelihood: str = "nb"
    zones: np.ndarray | None = None
    axis: np.ndarray | None = None


def load_placed(folder: Path, name: str) -> Placed:
    """Read one of :data:`SETS`; none of its labels or places is left in the cells.

    Raises
    ------
    ValueError
        If the set is not known.
    """
    if name not in SETS:
        raise ValueError(f"expected one of {', '.join(SETS)}, found {name!r}; check --sets")
    cells = ad.read_h5ad(folder / f"{name}.h5ad")
    if name == "bdtnp_drosophila":
        return Placed(intensities(cells), cells.obsm["spatial"], "µm", "normal")
    if name == "osmfish_cortex":  # cells that the authors could not use were not typed either
        cells = cells[(cells.obs["valid"] == 1).to_numpy()].copy()
    adata = prepare(clean(cells))
    kept = cells[adata.obs_names]
    if name == "intestine_zonation":
        zones = kept.obs["zone"].astype(int).to_numpy()
        return Placed(adata, zones[:, None].astype(float), "zones", zones=zones.astype(str))
    places = kept.obsm["spatial"] * OSMFISH_PIXEL
    return Placed(adata, places, "µm", axis=depth_axis(places, kept.obs["region"]))


def intensities(cells: ad.AnnData) -> ad.AnnData:
    """Real-valued expression in the form of counts, CSR; it is not transformed again."""
    x = sparse.csr_matrix(cells.X, dtype=np.float32)
    var = pd.DataFrame(index=cells.var_names)
    return ad.AnnData(x, pd.DataFrame(index=cells.obs_names), var, layers={"lognorm": x.copy()})


def depth_axis(places: np.ndarray, region: pd.Series) -> np.ndarray:
    """Direction from the pia to the white matter: the gradient of the layers' order.

    Parameters
    ----------
    places
        ``(n_cells, n_dims)``.
    region
        Names of layers as in :data:`LAYERS`; cells elsewhere do not matter.
    """
    order = region.astype(object).map(LAYERS).to_numpy(dtype=float)
    known = ~np.isnan(order)
    design = np.column_stack([places[known], np.ones(known.sum())])
    slope = np.linalg.lstsq(design, order[known], rcond=None)[0][:-1]
    return slope / np.linalg.norm(slope)
