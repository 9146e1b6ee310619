"""Whether a stated confidence is the rate of being right."""

import numpy as np
from numpy.typing import ArrayLike


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
    edges = np.arange(1, n_bins) / n_bins
    bins = np.searchsorted(edges, p, side="left")
    # |B_m| cancels: what remains of each bin is the sum of correct − confidence.
    gaps = np.bincount(bins, weights=right - p, minlength=n_bins)
    return float(np.abs(gaps).sum() / p.size)
