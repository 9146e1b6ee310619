"""How well clusters agree with labels.

All functions take ``labels`` (the truth) and ``clusters`` (the result), one value per cell each,
matched by position. Values may be strings, numbers or categoricals; only which cells share a
value matters, not its name. Cells whose label is missing (NaN, None) are left out everywhere. A
missing *cluster* on a labeled cell is an error, because to leave out the cells that a method
could not place would flatter it.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from mixvi.metrics._pairs import paired


def contingency(labels: ArrayLike, clusters: ArrayLike) -> pd.DataFrame:
    """Count the cells of each cluster with each label.

    Parameters
    ----------
    labels
        True classes, shape (n,). Cells with a missing label are left out.
    clusters
        Clusters, shape (n,).

    Returns
    -------
    pandas.DataFrame
        Clusters (rows) × labels (columns), counts. Both in natural order, ``"c2"`` before
        ``"c10"``; only values that occur, so no row and no column is empty.

    Raises
    ------
    ValueError
        If lengths differ, no cell has a label, or a labeled cell has no cluster.
    """
    label, cluster, label_names, cluster_names = paired(labels, clusters)
    shape = (len(cluster_names), len(label_names))
    flat = np.bincount(np.ravel_multi_index((cluster, label), shape), minlength=shape[0] * shape[1])
    return pd.DataFrame(
        flat.reshape(shape),
        index=pd.Index(cluster_names, name="cluster"),
        columns=pd.Index(label_names, name="label"),
    )


def adjusted_rand_index(labels: ArrayLike, clusters: ArrayLike) -> float:
    r"""Score agreement on pairs of cells, corrected for chance: the adjusted Rand index.

    .. math::
        \text{ARI} = \frac{R - \mathbb E[R]}{\max R - \mathbb E[R]}, \qquad
        R = \sum_{kl} \binom{n_{kl}}{2}

    with :math:`n_{kl}` the :func:`contingency` table, and the expectation over tables with the
    same margins.

    Parameters
    ----------
    labels
        True classes, shape (n,). Cells with a missing label are left out.
    clusters
        Clusters, shape (n,).

    Returns
    -------
    float
        1 for equal partitions, about 0 for unrelated ones, negative below chance.

    Raises
    ------
    ValueError
        As in :func:`contingency`.

    References
    ----------
    Hubert and Arabie (1985), Comparing partitions, Journal of Classification 2.
    """
    label, cluster, _, _ = paired(labels, clusters)
    return float(adjusted_rand_score(label, cluster))


def normalized_mutual_info(labels: ArrayLike, clusters: ArrayLike) -> float:
    r"""Mutual information of labels and clusters over the mean of their entropies.

    .. math:: \text{NMI} = \frac{2\, I(L; C)}{H(L) + H(C)}

    Parameters
    ----------
    labels
        True classes, shape (n,). Cells with a missing label are left out.
    clusters
        Clusters, shape (n,).

    Returns
    -------
    float
        0 (independent) to 1 (equal partitions). It is not corrected for chance: it grows with
        the number of clusters. If there is one class and one cluster, it is 1.

    Raises
    ------
    ValueError
        As in :func:`contingency`.

    References
    ----------
    Vinh, Epps and Bailey (2010), Information theoretic measures for clusterings comparison,
    Journal of Machine Learning Research 11.
    """
    label, cluster, _, _ = paired(labels, clusters)
    return float(normalized_mutual_info_score(label, cluster))


def hungarian_accuracy(labels: ArrayLike, clusters: ArrayLike) -> float:
    r"""Fraction of cells that are right under the best one-to-one naming of clusters.

    .. math:: \text{ACC} = \frac{1}{n} \max_{\pi} \sum_k n_{k \pi(k)}

    over all ways :math:`\pi` to give clusters k different labels (the Hungarian algorithm). With
    more clusters than labels some clusters get no name and their cells count as wrong; with fewer
    some labels are not used.

    Parameters
    ----------
    labels
        True classes, shape (n,). Cells with a missing label are left out.
    clusters
        Clusters, shape (n,).

    Returns
    -------
    float
        In (0, 1]; 1 for equal partitions. Never above :func:`purity`.

    Raises
    ------
    ValueError
        As in :func:`contingency`.

    References
    ----------
    Kuhn (1955), The Hungarian method for the assignment problem, Naval Research Logistics 2.
    """
    return _accuracy(contingency(labels, clusters).to_numpy())


def purity(labels: ArrayLike, clusters: ArrayLike) -> float:
    r"""Fraction of cells that have the most frequent label of their cluster.

    .. math:: \text{purity} = \frac{1}{n} \sum_k \max_l n_{kl}

    Parameters
    ----------
    labels
        True classes, shape (n,). Cells with a missing label are left out.
    clusters
        Clusters, shape (n,).

    Returns
    -------
    float
        In (0, 1]. Splitting a cluster never lowers it, and one cell per cluster gives 1: compare
        it at equal numbers of clusters only.

    Raises
    ------
    ValueError
        As in :func:`contingency`.

    References
    ----------
    Manning, Raghavan and Schütze (2008), Introduction to Information Retrieval, section 16.3.
    """
    return _purity(contingency(labels, clusters).to_numpy())


def n_captured(labels: ArrayLike, clusters: ArrayLike) -> int:
    """Count the classes that are the majority of at least one cluster.

    The majority of a cluster is its most frequent label. If two labels tie, the cluster has none.

    Parameters
    ----------
    labels
        True classes, shape (n,). Cells with a missing label are left out.
    clusters
        Clusters, shape (n,).

    Returns
    -------
    int
        0 to the number of classes. A class that is missed was merged into larger ones.

    Raises
    ------
    ValueError
        As in :func:`contingency`.
    """
    return _captured(contingency(labels, clusters).to_numpy())


def clustering_scores(labels: ArrayLike, clusters: ArrayLike) -> dict[str, float]:
    """Compute all scores of this module in one call.

    Parameters
    ----------
    labels
        True classes, shape (n,). Cells with a missing label are left out.
    clusters
        Clusters, shape (n,).

    Returns
    -------
    dict
        ``ari`` (:func:`adjusted_rand_index`), ``nmi`` (:func:`normalized_mutual_info`), ``acc``
        (:func:`hungarian_accuracy`), ``purity`` (:func:`purity`), ``captured``
        (:func:`n_captured`, a number of classes) and ``n_clusters`` (clusters that hold at least
        one labeled cell).

    Raises
    ------
    ValueError
        As in :func:`contingency`.
    """
    table = contingency(labels, clusters).to_numpy()
    return {
        "ari": adjusted_rand_index(labels, clusters),
        "nmi": normalized_mutual_info(labels, clusters),
        "acc": _accuracy(table),
        "purity": _purity(table),
        "captured": float(_captured(table)),
        "n_clusters": float(table.shape[0]),
    }


def _accuracy(table: np.ndarray) -> float:
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / table.sum())


def _purity(table: np.ndarray) -> float:
    return float(table.max(axis=1).sum() / table.sum())


def _captured(table: np.ndarray) -> int:
    is_largest = table == table.max(axis=1, keepdims=True)
    alone = is_largest.sum(axis=1) == 1
    return int(is_largest[alone].any(axis=0).sum())
