"""Another cut of the merge tree, without the model."""

from __future__ import annotations

import numpy as np
from anndata import AnnData

from mixvi._keys import Keys, check_unclaimed
from mixvi.model.annotation import stored_tree, write_clusters
from mixvi.model.merging import cut_tree, tree_of
from mixvi.priors import MergeTree

__all__ = ["merge_components"]


def merge_components(
    adata: AnnData,
    n_clusters: int | None = None,
    *,
    threshold: float | None = None,
    key: str = "cgmdvae",
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Merge a run's components into another number of clusters.

    The tree of :meth:`mixvi.model.CGMDVAE.merge_components`, from what the run wrote: no model is
    needed. :func:`mixvi.pl.merge_tree` draws it, with the cut.

    Parameters
    ----------
    adata
        Annotated cells.
    n_clusters
        Number of clusters.
    threshold
        Or: stop before the first merge that costs this share of the components' HSIC; .14 if
        neither is given. Larger: fewer clusters.
    key
        The ``key_added`` of the run.
    key_added
        Name of the result; by default the run's, whose clusters are replaced.
    copy
        Return an annotated copy and leave ``adata`` alone.

    Returns
    -------
    ``None``, or the copy. Written are ``obs["{key}"]`` (clusters), ``obsm["{key}_probs"]``,
    ``obs["{key}_confidence"]``, ``obs["{key}_entropy"]``, ``obs["{key}_component"]`` and
    ``obsm["{key}_component_probs"]`` (the components) and ``uns["{key}"]`` with the tree.

    Raises
    ------
    KeyError
        If there is no such run.
    ValueError
        If both numbers are given, there are fewer components than clusters, components are tied
        to labels, or ``key_added`` names something that mixvi did not write.
    """
    source, keys = Keys(key), Keys(key_added or key)
    if source.params not in adata.uns or "means" not in adata.uns[source.params]:
        raise KeyError(
            f"expected the components of a run in adata.uns[{key!r}], found none; run "
            "mixvi.tl.cgmdvae or model.annotate first, or pass its key"
        )
    check_unclaimed(adata, keys)
    run = adata.uns[source.params]
    if any(not str(name).isdecimal() for name in run["components"]):
        raise ValueError(
            "expected components without labels, found some that are tied to one; merge labels in "
            "obs before training instead"
        )
    tree = (
        MergeTree(**{name: np.asarray(value) for name, value in run["tree"].items()})
        if "tree" in run
        else tree_of(run["weights"], run["means"], run["scales"])
    )
    clusters, cut = cut_tree(tree, n_clusters, threshold)
    name = source.component_probs if source.component_probs in adata.obsm else source.probs
    target = adata.copy() if copy else adata
    probs = target.obsm[name].to_numpy()
    target.uns[keys.params] = {**run, **stored_tree(tree, cut)}
    names = [str(i) for i in range(clusters.max() + 1)]
    write_clusters(target, keys, probs, clusters.tolist(), names)
    return target if copy else None
