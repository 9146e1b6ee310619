"""What every method is fed: the same cells, the same genes, counts and log-normalized."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
from scipy import sparse

LABEL = "cell_type"
COVARIATES = ("batch", "condition")
UNLABELED = ("", "NA", "nan", "unknown", "Unknown", "Excluded")
DEFAULT_DATA = Path("../shared/data")


def data_folder(folder: Path | None) -> Path:
    """Folder of the ``.h5ad`` files, checked.

    Parameters
    ----------
    folder
        Where the files are, or ``None`` for ``../shared/data``.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    """
    folder = DEFAULT_DATA if folder is None else folder
    if not folder.is_dir():
        raise FileNotFoundError(
            f"expected a folder of .h5ad files, found nothing at {folder}; give --data DIR"
        )
    return folder


def load(folder: Path, name: str) -> ad.AnnData:
    """Read ``<folder>/<name>.h5ad`` (raw counts in ``X``), :func:`clean` and :func:`prepare` it."""
    path = folder / f"{name}.h5ad"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.h5ad")))
        raise FileNotFoundError(f"expected {path.name} in {folder}, found: {known}")
    return prepare(clean(ad.read_h5ad(path)))


def clean(adata: ad.AnnData) -> ad.AnnData:
    """Drop doublets that genotypes have shown, and take the labels away that mean "none".

    Parameters
    ----------
    adata
        Labels in ``obs["cell_type"]``; where there is ``obs["demuxlet"]``, its singlets
        (``"SNG"``) are kept.

    Returns
    -------
    anndata.AnnData
        A copy; ``obs["cell_type"]`` is missing where it was one of :data:`UNLABELED`.
    """
    if "demuxlet" in adata.obs:
        adata = adata[(adata.obs["demuxlet"] == "SNG").to_numpy()]
    adata = adata.copy()
    labels = adata.obs[LABEL].astype(object)
    adata.obs[LABEL] = pd.Categorical(labels.where(~labels.isin(UNLABELED), None))
    return adata


def prepare(adata: ad.AnnData, n_top_genes: int = 2_000, whole_up_to: int = 2_100) -> ad.AnnData:
    """Drop empty cells and genes, log-normalize, keep the highly variable genes.

    Library sizes are taken before genes are selected, as scanpy's users do it. Cells without
    a label stay: they are trained on and left out of the scores only.

    Parameters
    ----------
    adata
        Raw counts in ``X``, labels in ``obs["cell_type"]``.
    n_top_genes
        Genes kept, by scanpy's default ``seurat`` flavor on log-normalized counts.
    whole_up_to
        Sets with at most this many genes are used whole: someone selected them already.

    Returns
    -------
    anndata.AnnData
        Counts (CSR, float32) in ``X``, ``log1p`` of counts per 10,000 in ``layers["lognorm"]``,
        ``obs["cell_type"]``, and of ``obs["batch"]`` and ``obs["condition"]`` those that have at
        least two values.
    """
    kept = [
        LABEL,
        *(key for key in COVARIATES if key in adata.obs and adata.obs[key].nunique() > 1),
    ]
    adata = ad.AnnData(
        X=sparse.csr_matrix(adata.X, dtype=np.float32),
        obs=adata.obs[kept].copy(),
        var=pd.DataFrame(index=adata.var_names.copy()),
    )
    sc.pp.filter_genes(adata, min_counts=1)
    sc.pp.filter_cells(adata, min_counts=1)
    adata.layers["lognorm"] = adata.X.copy()
    sc.pp.normalize_total(adata, target_sum=1e4, layer="lognorm")
    sc.pp.log1p(adata, layer="lognorm")
    if adata.n_vars > whole_up_to:
        sc.pp.highly_variable_genes(adata, layer="lognorm", n_top_genes=n_top_genes)
        adata = adata[:, adata.var["highly_variable"].to_numpy()].copy()
        sc.pp.filter_cells(adata, min_counts=1)
    adata.obs = adata.obs[kept].copy()
    adata.var = pd.DataFrame(index=adata.var_names.copy())
    adata.uns.clear()
    return adata


def labeled(adata: ad.AnnData) -> np.ndarray:
    """Mask of the cells that have a label, shape ``(n_cells,)``."""
    return adata.obs[LABEL].notna().to_numpy()


def covariates(adata: ad.AnnData) -> dict[str, str]:
    """What of ``obs`` a model can correct for: ``batch_key`` and ``condition_key``, if there."""
    return {f"{key}_key": key for key in COVARIATES if key in adata.obs}


def n_classes(adata: ad.AnnData) -> int:
    """Count the different labels that occur: the K that is given to methods that take one."""
    return int(adata.obs[LABEL].dropna().nunique())
