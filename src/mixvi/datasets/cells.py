"""Real cells that need no network: the PBMC that ship inside scanpy, as counts."""

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
from scipy import sparse

# How the bundled values were made: counts scaled to this total per cell, log1p, rounded.
_TARGET_SUM = 1e4
_DECIMALS = 3


def pbmc() -> ad.AnnData:
    r"""Peripheral blood mononuclear cells: 700 cells × 765 genes of real counts.

    The cells are those of :func:`scanpy.datasets.pbmc68k_reduced`, which is part of scanpy, so
    that nothing is downloaded. That object holds no counts; its ``.raw`` holds

    .. math:: r_{ig} = \operatorname{round}_3 \log\left(1 + 10^4\, c_{ig} / n_i\right)

    with :math:`n_i` the total count of cell i over *all* of its genes, which is in ``obs``. So
    :math:`\hat c_{ig} = \operatorname{round}\left[(e^{r_{ig}} - 1)\, n_i / 10^4\right]`. As
    :math:`n_i` fixes the unit of one count, a cell in which no gene has exactly one count is
    recovered like any other. The recovery is checked at every call: each :math:`n_i` has to be a
    whole number, each :math:`\hat c_{ig}` has to reproduce its :math:`r_{ig}` within the
    rounding, and the rounding has to leave only one whole number possible.

    Returns
    -------
    AnnData
        ``X``
            Counts, CSR float32. Every cell and every gene has at least one count.
        ``obs["cell_type"]``
            Categorical, 10 types, transferred from sorted reference populations
            (``bulk_labels`` of the bundled object).
        ``obs["n_counts"]``
            Library size :math:`n_i`: the total count over all genes that were sequenced.

    Raises
    ------
    RuntimeError
        If the bundled values are not what the formula above describes, for example because
        scanpy ships another file.

    Notes
    -----
    The 765 genes are a selection, 309 of them highly variable. Sums of ``X`` over genes are
    therefore *not* library sizes (they are 11 to 28 % of ``obs["n_counts"]``), and proportions
    within ``X`` are proportions among these genes only. Dendritic cells are far more frequent
    than in blood: the cells are a selection as well.

    References
    ----------
    Zheng et al. (2017), Massively parallel digital transcriptional profiling of single cells,
    Nature Communications 8, 14049.
    """
    bundled = sc.datasets.pbmc68k_reduced()
    library_size = bundled.obs["n_counts"].to_numpy(dtype=np.float64)
    counts = _counts_from_log1p(sparse.csr_matrix(bundled.raw.X), library_size)
    if (counts.sum(axis=0) == 0).any() or (counts.sum(axis=1) == 0).any():
        raise RuntimeError(
            "expected at least one count in every bundled cell and gene, found an empty one; "
            "install another version of scanpy, whose data file may differ."
        )
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(bundled.obs["bulk_labels"]),
            "n_counts": library_size.astype(np.float32),
        },
        index=bundled.obs_names.rename(None),
    )
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=bundled.raw.var_names.rename(None)))


def _counts_from_log1p(logged: sparse.csr_matrix, library_size: np.ndarray) -> sparse.csr_matrix:
    """Undo ``round(log1p(_TARGET_SUM · counts / library_size), _DECIMALS)``, and verify it."""
    advice = "install another version of scanpy, whose data file may differ."
    if not np.array_equal(library_size, np.rint(library_size)) or library_size.min() <= 0:
        raise RuntimeError(
            "expected positive whole numbers as the total counts per cell, found "
            f"values from {library_size.min():g} to {library_size.max():g} that are not; {advice}"
        )
    counts = logged.astype(np.float64)
    per_count = np.repeat(_TARGET_SUM / library_size, np.diff(counts.indptr))
    values = counts.data.copy()
    counts.data = np.rint(np.expm1(values) / per_count)

    half_step = 0.5 * 10.0**-_DECIMALS
    error = np.abs(np.log1p(counts.data * per_count) - values).max(initial=0.0)
    # A value r stands for all counts within ± half_step of it on the log scale: at most one of
    # them may be whole, which holds while that interval is shorter than one count.
    width = (2 * half_step * np.exp(values) / per_count).max(initial=0.0)
    # The values are stored as float32, and this is its spacing below 16.
    if error > half_step + 1e-6 or width >= 1 or (counts.data < 0).any():
        raise RuntimeError(
            f"expected bundled values that are log1p of counts scaled to {_TARGET_SUM:g} per cell "
            f"and rounded to {_DECIMALS} decimals, found a deviation of {error:.2g} "
            f"(at most {half_step:g} is rounding) and rounding intervals of up to {width:.2g} "
            f"counts (they must be below 1); {advice}"
        )
    counts.eliminate_zeros()
    return counts.astype(np.float32)
