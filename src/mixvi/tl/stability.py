"""Which clusters come back."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from anndata import AnnData

from mixvi._keys import Keys
from mixvi.metrics import cluster_stability

__all__ = ["stability"]


def stability(
    adata: AnnData, others: Sequence[str], *, key: str = "cgmdvae", copy: bool = False
) -> AnnData | None:
    """Score every cluster by how well other runs find it again.

    The others are runs with other seeds, or any clusterings of the same cells. A cluster at 1 comes
    back cell by cell; one below about .6 is one way to cut a continuum, or a piece of something
    larger :cite:p:`hennig2007`.

    Parameters
    ----------
    adata
        Annotated cells.
    others
        Columns of ``obs`` with the other clusterings, for example the ``key_added`` of runs with
        other seeds.
    key
        Column with the clusters to score.
    copy
        Return an annotated copy and leave ``adata`` alone.

    Returns
    -------
    ``None``, or the copy. Written are ``uns["{key}_stability"]``, a table with the mean best
    Jaccard index of every cluster (:func:`mixvi.metrics.cluster_stability`), and
    ``obs["{key}_stability"]``, that of the cell's cluster.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If there is no other clustering.

    Examples
    --------
    >>> for seed in range(1, 4):  # doctest: +SKIP
    ...     mixvi.tl.cgmdvae(adata, rng=seed, key_added=f"seed_{seed}")
    >>> mixvi.tl.stability(adata, ["seed_1", "seed_2", "seed_3"])  # doctest: +SKIP
    """
    for column in (key, *others):
        if column not in adata.obs:
            raise KeyError(
                f"expected the column {column!r} in adata.obs, found none; run the model with "
                f"key_added={column!r} first"
            )
    if isinstance(others, str) or not others:
        raise ValueError(
            f"expected a list of other clusterings, found {others!r}; name columns of obs"
        )
    target = adata.copy() if copy else adata
    name = Keys(key).stability
    scores = cluster_stability(adata.obs[key], [adata.obs[other] for other in others])
    target.uns[name] = pd.DataFrame(
        {"stability": scores.to_numpy(dtype=float)}, index=scores.index.astype(str)
    )
    target.obs[name] = adata.obs[key].astype(str).map(target.uns[name]["stability"]).astype(float)
    return target if copy else None
