"""Where to draw a line that a stated share of known cells exceeds, from few of them."""

from __future__ import annotations

import logging
import math
from numbers import Real

import numpy as np

__all__ = ["attainable_rate", "check_rate", "threshold_of"]

logger = logging.getLogger(__name__)


def check_rate(false_alarm_rate: float) -> None:
    """Check that a rate is between 0 and 1.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not (isinstance(false_alarm_rate, Real) and 0 < false_alarm_rate < 1):
        raise ValueError(
            f"expected false_alarm_rate between 0 and 1, found {false_alarm_rate!r}; .05 calls "
            "one known cell in twenty new"
        )


def attainable_rate(false_alarm_rate: float, n: int) -> float:
    """The rate, or the smallest that n known cells can promise, 1 / (n + 1), if that is larger.

    Parameters
    ----------
    false_alarm_rate
        Share of known cells that may be called new.
    n
        Known cells that were not trained on.
    """
    return max(false_alarm_rate, 1 / (n + 1))


def threshold_of(quantiles: np.ndarray, n: int, false_alarm_rate: float) -> float:
    r"""Score that a new known cell exceeds with at most a given probability.

    The k-th smallest of n scores with

    .. math:: k = \lceil (n + 1)(1 - \alpha) \rceil,

    which the next one of the same kind exceeds with probability
    :math:`(n + 1 - k) / (n + 1) \le \alpha`, whatever their distribution: the bound of split
    conformal prediction :cite:p:`vovk2005`. The plain quantile is exceeded more often: of 24
    scores, the one for 5 % by 9 %. Over draws of the n scores the rate itself varies, by
    :math:`\sqrt{\alpha (1 - \alpha) / n}`: with 500 it is within two points of 5 % in nineteen
    draws of twenty.

    Parameters
    ----------
    quantiles
        The sorted scores, or quantiles of them, evenly spaced from the lowest to the highest.
    n
        Number of scores.
    false_alarm_rate
        α. If it is below 1 / (n + 1) no score will do: then the largest is taken, and a message
        says which rate that keeps.
    """
    check_rate(false_alarm_rate)
    # rounding must not turn (n + 1)(1 − α) = 19.000000000000004 into 20
    k = math.ceil((n + 1) * (1 - false_alarm_rate) - 1e-9)
    if k > n:
        logger.warning(
            "only %d known cells were held out: a false alarm rate of %g cannot be kept, about "
            "%.2g of the known cells will be called new; call calibrate_novelty with more cells",
            n,
            false_alarm_rate,
            attainable_rate(false_alarm_rate, n),
        )
        k = n
    level = (k - 1) / max(n - 1, 1)
    return float(np.interp(level, np.linspace(0, 1, len(quantiles)), quantiles))
