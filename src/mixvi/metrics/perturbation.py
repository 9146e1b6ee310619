"""How well expression under another condition was predicted."""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["perturbation_scores", "r2", "squared_pearson"]


def squared_pearson(predicted: ArrayLike, observed: ArrayLike) -> float:
    r"""Squared correlation of predicted and observed means over genes.

    .. math:: \operatorname{corr}(p, o)^2

    What most papers on perturbations call R². Blind to offset and scale, and on means of expression
    high for doing nothing: genes differ far more from each other than between conditions.

    Parameters
    ----------
    predicted, observed
        One number per gene.

    Returns
    -------
    float
        0 to 1; 0 where either is constant.

    Raises
    ------
    ValueError
        If shapes differ, there are fewer than two genes, or a value is not finite.
    """
    p, o = _genes(predicted=predicted, observed=observed)
    p, o = p - p.mean(), o - o.mean()
    scale = (p @ p) * (o @ o)
    return float((p @ o) ** 2 / scale) if scale > 0 else 0.0


def r2(predicted: ArrayLike, observed: ArrayLike) -> float:
    r"""Share of the variance over genes that the prediction explains.

    .. math:: 1 - \frac{\sum_g (o_g - p_g)^2}{\sum_g (o_g - \bar o)^2}

    The coefficient of determination, which counts offset and scale as errors and can be negative.

    Parameters
    ----------
    predicted, observed
        One number per gene.

    Returns
    -------
    float
        At most 1; 0 for predicting the mean of all genes.

    Raises
    ------
    ValueError
        As :func:`squared_pearson`, or if all genes were observed the same.
    """
    p, o = _genes(predicted=predicted, observed=observed)
    total = ((o - o.mean()) ** 2).sum()
    if total == 0:
        raise ValueError(
            "expected genes that differ in `observed`, found all the same; there is nothing to "
            "explain"
        )
    return float(1 - ((o - p) ** 2).sum() / total)


def perturbation_scores(
    predicted: ArrayLike,
    observed: ArrayLike,
    control: ArrayLike,
    top_genes: ArrayLike | None = None,
) -> dict[str, float]:
    r"""Both kinds of R², of means and of the change, over all genes and the top ones.

    Parameters
    ----------
    predicted
        Predicted mean expression under the perturbation, (genes,).
    observed
        Observed mean expression under it, (genes,).
    control
        Observed mean expression without it, (genes,). The change is measured from here.
    top_genes
        Positions or mask of the genes that respond most, to be chosen from the observed cells.

    Returns
    -------
    dict
        ``r2_pearson`` (squared correlation of the means), ``delta_r2`` (:func:`r2` of the changes
        ``predicted − control`` and ``observed − control``), ``delta_r2_pearson`` (their squared
        correlation); with ``top_genes`` the same with ``_top``. Predicting ``control`` itself shows
        why the first is not enough: it has a high ``r2_pearson`` and a ``delta_r2`` of 0 or less.

    Raises
    ------
    ValueError
        If shapes differ, a value is not finite, or fewer than two genes are left.
    """
    p, o, c = _genes(predicted=predicted, observed=observed, control=control)
    subsets: dict[str, np.ndarray | slice] = {"": slice(None)}
    if top_genes is not None:
        subsets["_top"] = np.asarray(top_genes)
    scores = {}
    for name, genes in subsets.items():
        change, truth = p[genes] - c[genes], o[genes] - c[genes]
        scores[f"r2_pearson{name}"] = squared_pearson(p[genes], o[genes])
        scores[f"delta_r2{name}"] = r2(change, truth)
        scores[f"delta_r2_pearson{name}"] = squared_pearson(change, truth)
    return scores


def _genes(**named: ArrayLike) -> list[np.ndarray]:
    """Vectors of one length, at least 2, finite."""
    vectors = {name: np.asarray(values, dtype=float) for name, values in named.items()}
    shapes = {name: v.shape for name, v in vectors.items()}
    first = next(iter(shapes.values()))
    if len(first) != 1 or first[0] < 2 or set(shapes.values()) != {first}:
        found = ", ".join(f"`{name}` {shape}" for name, shape in shapes.items())
        raise ValueError(
            f"expected vectors of one length, at least 2 genes, found shapes {found}; pass one "
            "mean per gene"
        )
    for name, values in vectors.items():
        if not np.isfinite(values).all():
            gene = int((~np.isfinite(values)).argmax())
            raise ValueError(
                f"expected finite numbers in `{name}`, found {values[gene]} (gene {gene}); "
                "leave such genes out"
            )
    return list(vectors.values())
