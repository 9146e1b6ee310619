"""Marker genes of the clusters."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from scipy import sparse

__all__ = ["Marker", "Markers", "find_markers"]

CANDIDATES = 30  # genes per cluster, of which some are in the heat map already
MOST = 50_000  # cells tested
FEWEST = 3  # cells of a cluster that a test needs


@dataclass(frozen=True)
class Marker:
    """A gene that is higher in a cluster than in the other cells.

    Attributes
    ----------
    gene
        Its name.
    fold
        log₂ fold change of the mean.
    inside, outside
        Shares of the cells with a count, in the cluster and elsewhere.
    """

    gene: str
    fold: float
    inside: float
    outside: float


@dataclass(frozen=True)
class Markers:
    """Markers of every cluster, and how high they are everywhere.

    Attributes
    ----------
    n_cells
        Cells that were tested.
    by_cluster
        Markers by cluster, the best first.
    heat
        Mean log-normalized expression, clusters × the best markers of each that no cluster before
        it has, every gene divided by its highest.
    """

    n_cells: int
    by_cluster: dict[str, list[Marker]]
    heat: pd.DataFrame


def find_markers(
    matrix: sparse.csr_matrix,
    genes: pd.Index,
    clusters: pd.Series,
    *,
    counts: bool,
    n_markers: int = 6,
    n_heat: int = 3,
) -> Markers | None:
    """Test every gene in every cluster against the other cells (Welch's t, scanpy).

    The clusters were made from the same counts, so the p-values of such tests mean nothing; the
    order of the genes does. Of more than 50,000 cells as many are tested, picked at random.

    Parameters
    ----------
    matrix
        Counts or values, cells × genes.
    genes
        Their names.
    clusters
        Cluster of every cell, categorical.
    counts
        Whether to normalize and take logs first.
    n_markers, n_heat
        Markers of a cluster, and how many of them are in the heat map.

    Returns
    -------
    ``None`` if fewer than two clusters have cells enough.
    """
    if len(clusters) > MOST:
        some = np.sort(np.random.default_rng(0).permutation(len(clusters))[:MOST])
        matrix, clusters = matrix[some], clusters.iloc[some]
    sizes = clusters.value_counts()
    tested = [name for name in clusters.cat.categories if sizes[name] >= FEWEST]
    if len(tested) < 2:
        return None
    cells = AnnData(
        matrix.copy(),
        obs=pd.DataFrame({"cluster": clusters.array}, index=clusters.index.astype(str)),
        var=pd.DataFrame(index=genes.astype(str)),
    )
    cells.var_names_make_unique()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numerical ones of genes without a count
        if counts:
            sc.pp.normalize_total(cells, target_sum=1e4)
            sc.pp.log1p(cells)
        sc.tl.rank_genes_groups(
            cells, "cluster", groups=tested, n_genes=CANDIDATES, pts=True, use_raw=False
        )
    found = cells.uns["rank_genes_groups"]
    inside, outside = found["pts"], found["pts_rest"]
    best = {
        name: [
            Marker(gene, float(fold), float(inside.loc[gene, name]), float(outside.loc[gene, name]))
            for gene, fold, score in zip(
                found["names"][name], found["logfoldchanges"][name], found["scores"][name],
                strict=True,
            )
            if score > 0
        ]
        for name in tested
    }  # fmt: skip
    shown: list[str] = []
    for markers in best.values():
        shown += [marker.gene for marker in markers if marker.gene not in shown][:n_heat]
    one_hot = sparse.csr_matrix(pd.get_dummies(cells.obs["cluster"])[tested].to_numpy(dtype=float))
    sums = (one_hot.T @ cells[:, shown].X).toarray()
    means = sums / sizes[tested].to_numpy()[:, None]
    heat = np.clip(means / np.maximum(means.max(0, initial=0), 1e-12), 0, 1)
    by_cluster = {name: markers[:n_markers] for name, markers in best.items()}
    return Markers(cells.n_obs, by_cluster, pd.DataFrame(heat, tested, shown))
