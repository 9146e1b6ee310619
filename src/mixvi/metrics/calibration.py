"""Whether a stated confidence is the rate of being right."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from mixvi.metrics._pairs import paired


def expected_calibration_error(
    confidence: ArrayLike, correct: ArrayLike, n_bins: int = 15
) -> float:
    r"""Compute how far confidence is from accuracy: the expected calibration error (ECE).

    .. math::
        \text{ECE} = \sum_{m=1}^{M} \frac{|B_m|}{n}
            \left| \frac{1}{|B_m|} \sum_{i \in B_m} \text{correct}_i
                 - \frac{1}{|B_m|} \sum_{i \in B_m} \text{confidence}_i \right|

    over M bins of equal width, :math:`B_m` holding the cells with confidence in
    :math:`((m - 1)/M, m/M]`; a confidence of 0 is in the first. Empty bins add nothing.

    Parameters
    ----------
    confidence
        Stated probability that the prediction of a cell is right, in [0, 1], shape (n,).
    correct
        Whether it was right, boolean or 0 and 1, shape (n,).
    n_bins
        Number of bins M. With 1 only the mean confidence is compared to the accuracy. With many,
        few cells are left in each, and their chance deviations raise the result.

    Returns
    -------
    float
        0 (calibrated) to 1 (always sure and always wrong).

    Raises
    ------
    ValueError
        If lengths differ, nothing is given, a value is out of range, or ``n_bins`` is below 1.

    References
    ----------
    Naeini, Cooper and Hauskrecht (2015), Obtaining well calibrated probabilities using Bayesian
    binning, AAAI. Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural
    networks, ICML, equation 3.
    """
    p = np.asarray(confidence, dtype=np.float64)
    right = np.asarray(correct, dtype=np.float64)
    if p.ndim != 1 or p.shape != right.shape or p.size == 0:
        raise ValueError(
            "expected `confidence` and `correct` to be vectors of one length, at least 1, "
            f"found shapes {p.shape} and {right.shape}; pass one value of each per cell."
        )
    # Written so that NaN fails as well.
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(
            f"expected `confidence` in [0, 1], found values from {p.min():g} to {p.max():g}; "
            "pass probabilities, without missing values."
        )
    if not np.isin(right, (0, 1)).all():
        raise ValueError(
            f"expected `correct` to be boolean, found values like {right[right != 1][0]:g}; "
            "pass `predicted == label`, without missing values."
        )
    if n_bins < 1:
        raise ValueError(f"expected `n_bins` of at least 1, found {n_bins}; pass for example 15.")
    # |B_m| cancels: what remains of each bin is the sum of correct − confidence.
    gaps = np.bincount(confidence_bins(p, n_bins), weights=right - p, minlength=n_bins)
    return float(np.abs(gaps).sum() / p.size)


def matched_calibration(
    labels: ArrayLike, clusters: ArrayLike, confidence: ArrayLike, n_bins: int = 15
) -> float:
    r"""Compute the calibration error of cluster assignments, named by the labels they match.

    A cell is right if its label is the one that its cluster is matched to, under the one-to-one
    matching that is right most often (as in :func:`~mixvi.metrics.hungarian_accuracy`); the
    result is the :func:`expected_calibration_error` of that. Cells of clusters without a label of
    their own are wrong, so a type that is confidently cut in two counts as overconfidence: with
    more clusters than labels a low value cannot be expected.

    Parameters
    ----------
    labels
        True classes, shape (n,). Cells with a missing label are left out.
    clusters
        Clusters, shape (n,).
    confidence
        Probability of each cell's cluster, in [0, 1], shape (n,).
    n_bins
        Number of bins, as in :func:`expected_calibration_error`.

    Returns
    -------
    float
        0 (calibrated) to 1 (always sure and always wrong).

    Raises
    ------
    ValueError
        If lengths differ, no cell has a label, a labeled cell has no cluster, a confidence is out
        of range, or ``n_bins`` is below 1.
    """
    return expected_calibration_error(*matched_cells(labels, clusters, confidence), n_bins)


def matched_cells(
    labels: ArrayLike, clusters: ArrayLike, confidence: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Confidence of the labeled cells, and whether they are right under the best matching."""
    label, cluster, label_names, cluster_names = paired(labels, clusters)
    labeled = pd.Series(labels).notna().to_numpy()
    p = np.asarray(confidence, dtype=np.float64)
    if p.shape != labeled.shape:
        raise ValueError(
            f"expected one `confidence` for each of the {len(labeled)} cells, found shape "
            f"{p.shape}; pass one value per cell."
        )
    table = np.zeros((len(cluster_names), len(label_names)), dtype=int)
    np.add.at(table, (cluster, label), 1)
    matched = np.full(len(cluster_names), -1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    matched[rows] = columns
    return p[labeled], matched[cluster] == label


def confidence_bins(confidence: np.ndarray, n_bins: int) -> np.ndarray:
    """Bin 0 … n_bins − 1 of each value: ((m − 1)/M, m/M], the first with 0."""
    return np.searchsorted(np.arange(1, n_bins) / n_bins, confidence, side="left")
