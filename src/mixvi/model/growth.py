"""Components for what a reference lacks, beside its own, which stay as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.special import logsumexp
from scipy.stats import norm

from mixvi.train import fit_start

__all__ = ["NewComponents", "find_new_components", "new_names"]

MIN_CELLS = 10  # of a new component
MAX_NEW = 20  # components looked for before the close ones are joined
MIN_SPREAD = 0.05  # floor of a variance, as where the reference's components start


@dataclass(frozen=True)
class NewComponents:
    r"""Normal components beside a mixture that stays as it is.

    .. math:: p(z) = (1 - \sum_j \rho_j)\, p_{\mathrm{ref}}(z) + \sum_j \rho_j N(z|m_j, s_j^2)

    They take part only where −log p_ref(z) is above ``threshold``: all cells below are assigned as
    before, to the last bit.

    Attributes
    ----------
    weights
        ρ, shares of the query's cells.
    means, scales
        m and s, components × latent dimensions.
    threshold
        Novelty from which on a cell may belong to one of them, in nats.
    """

    weights: np.ndarray
    means: np.ndarray
    scales: np.ndarray
    threshold: float

    def extend(self, probs: np.ndarray, latent: np.ndarray, novelty: np.ndarray) -> np.ndarray:
        """Responsibilities of the reference's components, then of these.

        Parameters
        ----------
        probs
            Responsibilities among the reference's components, cells × K.
        latent
            Latent means, cells × D.
        novelty
            −log p_ref(z) of every cell.
        """
        log_new = np.log(self.weights) + norm.logpdf(
            latent[:, None].astype(float), self.means, self.scales
        ).sum(-1)
        log_old = np.log1p(-self.weights.sum()) - novelty.astype(float)
        log_joint = np.column_stack([log_old, log_new])
        share = np.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True))
        share[novelty <= self.threshold] = [1.0] + [0.0] * len(self.weights)
        share = share.astype(probs.dtype)
        return np.concatenate([probs * share[:, :1], share[:, 1:]], 1)


def find_new_components(
    z: np.ndarray,
    n_obs: int,
    threshold: float,
    *,
    n_components: int | Literal["auto"],
    false_alarm_rate: float,
    means: np.ndarray,
    scale: np.ndarray,
) -> NewComponents | None:
    """Fit normal components to the cells that a reference does not know.

    Parameters
    ----------
    z
        Latent means of the cells above the threshold.
    n_obs
        Number of all the query's cells.
    threshold
        The threshold.
    n_components
        Number of components; ``"auto"``: none if no more cells are above the threshold than false
        alarms may be (three standard errors), else groups that lie as far apart as the nearest two
        clusters of the reference do, each of at least 10 cells.
    false_alarm_rate
        Share of known cells above the threshold.
    means, scale
        Means of the reference's clusters, and their common scale, in which distances are measured.

    Returns
    -------
    The components, ``None`` where there are none.
    """
    if n_components == "auto":
        expected = false_alarm_rate * n_obs
        error = np.sqrt(expected * (1 - false_alarm_rate))
        if len(z) < max(MIN_CELLS, expected + 3 * error):
            return None
        groups = _groups(z, means, scale)
    else:
        groups = fit_start(z, min(n_components, len(z))).argmax(1) if len(z) else np.empty(0)
    sizes, moments, spread = [], [], np.zeros(z.shape[1])
    for group in np.unique(groups):
        cells = z[groups == group]
        if n_components != "auto" or len(cells) >= MIN_CELLS:
            sizes.append(len(cells))
            moments.append(cells.mean(0))
            spread += cells.var(0) * len(cells)
    if not sizes:
        return None
    # one spread for all, as the reference's: a wide component would take the outliers of the others
    variance = np.maximum(spread / sum(sizes), MIN_SPREAD)
    weights = np.asarray(sizes) / n_obs
    return NewComponents(
        # of a query of new cells alone the reference keeps a part
        weights=weights * min(1, (1 - 1 / (n_obs + 1)) / weights.sum()),
        means=np.asarray(moments, dtype=float),
        scales=np.tile(np.sqrt(variance), (len(sizes), 1)),
        threshold=threshold,
    )


def _groups(z: np.ndarray, means: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Fine clusters, joined while they are closer than the reference's nearest."""
    n_fine = int(np.clip(len(z) // MIN_CELLS, 1, MAX_NEW))
    fine = fit_start(z, n_fine).argmax(1)
    kept, fine = np.unique(fine, return_inverse=True)
    if len(kept) < 2 or len(means) < 2:
        return np.zeros(len(z), dtype=int)
    centers = np.asarray([z[fine == k].mean(0) for k in range(len(kept))]) / scale
    known = means / scale
    distances = np.linalg.norm(known[:, None] - known, axis=-1)
    nearest = distances[~np.eye(len(known), dtype=bool)].min()
    return fcluster(linkage(centers, "average"), nearest, criterion="distance")[fine]


def new_names(names: Sequence[str], n: int) -> list[str]:
    """Names ``novel_0``, … of new components, going on where names are taken."""
    taken = [int(m[1]) for m in (re.fullmatch(r"novel_(\d+)", name) for name in names) if m]
    first = max(taken, default=-1) + 1
    return [f"novel_{first + i}" for i in range(n)]
