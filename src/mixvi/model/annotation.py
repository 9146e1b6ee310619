"""Writing what a model says about cells into their AnnData."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.special import xlogy

from mixvi._keys import Keys, check_unclaimed, column_names
from mixvi.priors import MergeTree

from .clusters import summed_by_cluster
from .doubts import doubt_batches, doubt_clusters
from .merging import MergingMixin
from .novelty import FALSE_ALARM_RATE, NoveltyMixin
from .record import run_record

__all__ = ["AnnotationMixin", "stored_tree", "write_clusters"]


class AnnotationMixin(MergingMixin, NoveltyMixin):
    """AnnData in, AnnData annotated."""

    _name: ClassVar[str]
    merges_: bool = False
    _query: AnnData | None = None  # as the user gave it, before its genes were matched

    def annotate(
        self,
        adata: AnnData | None = None,
        *,
        key_added: str | None = None,
        batch_size: int | None = None,
        false_alarm_rate: float = FALSE_ALARM_RATE,
    ) -> None:
        """Write everything the model says about the cells into ``adata``.

        Parameters
        ----------
        adata
            Cells to annotate; by default those that the model was made with. Genes are matched by
            name.
        key_added
            Name of the result, the method's by default; the prefix of every key.
        batch_size
            Cells per pass.
        false_alarm_rate
            Share of known cells that may be called new.

        Raises
        ------
        ValueError
            If something of these names is there that mixvi did not write; nothing is replaced then.

        Notes
        -----
        ``obsm["X_{key}"]`` mean of q(z | x), ``obsm["X_{key}_w"]`` mean of q(w | x) (models with a
        style), ``obs["{key}"]`` most probable cluster, ``obsm["{key}_probs"]`` probabilities of the
        clusters, ``obs["{key}_confidence"]`` that of the cell's cluster, ``obs["{key}_entropy"]``
        their entropy in nats, ``obs["{key}_novelty"]`` −log p(z) in nats,
        ``obs["{key}_novel"]`` whether that is above the threshold that a share of
        ``false_alarm_rate`` of known cells exceeds (``uns`` has the rate that the number of
        held-out cells can keep, if that is larger; cells that were trained on are compared with
        each other: :meth:`is_novel`). Where clusters are merged
        components, ``obs["{key}_component"]`` and ``obsm["{key}_component_probs"]``.
        ``uns["{key}"]`` parameters, components, merge tree, training curves, versions.

        A message is logged where clusters and batches are nearly the same, and where the number of
        clusters was left to the model and cells hardly tell their cluster.
        """
        target = (self._query or self.adata) if adata is None else adata
        posterior = self._posterior(
            adata, None, batch_size, None, ["latent", "probs", "novelty", "style", "c"]
        )
        keys = Keys(key_added or self._name)
        check_unclaimed(target, keys)
        target.obsm[keys.latent] = posterior["latent"]
        if "style" in posterior:
            target.obsm[keys.style] = posterior["style"]
        target.obs[keys.novelty] = posterior["novelty"]
        table = self._component_table(posterior)
        run = run_record(self) | {
            "components": np.asarray(self.component_names_, dtype=object),
            "weights": table.weights.to_numpy(),
            "means": table.means.to_numpy(),
            "scales": table.scales.to_numpy(),
        }
        if self.novelty_quantiles_ is not None:
            novelty = posterior["novelty"]
            threshold = self.novelty_threshold(false_alarm_rate)
            kept = self._attainable_rate(false_alarm_rate)
            run |= {"novelty_threshold": threshold, "false_alarm_rate": kept}
            trained = self._which_trained(len(novelty), novelty.__getitem__)
            if trained.any():
                run["novelty_threshold_trained"] = self._threshold_of_trained(false_alarm_rate)
            target.obs[keys.novel] = self._exceeds_known(novelty, trained, false_alarm_rate)
        target.uns[keys.params] = run
        write_clusters(
            target, keys, posterior["probs"], self.cluster_of_component_, self.cluster_names_
        )
        if self.merges_:
            doubt_clusters(target.obsm[keys.probs].to_numpy())
        batch_key = self.registry_["setup_args"].get("batch_key")
        if batch_key in target.obs:
            doubt_batches(target.obs[batch_key], target.obs[keys.cluster], batch_key)
        if self.merge_tree is not None:
            target.uns[keys.params] |= stored_tree(self.merge_tree, self.merge_threshold_)


def write_clusters(
    adata: AnnData,
    keys: Keys,
    component_probs: np.ndarray,
    cluster_of_component: Sequence[int],
    cluster_names: Sequence[str],
) -> None:
    """Write clusters, their probabilities and, where they are merged ones, the components.

    Parameters
    ----------
    adata
        Cells, with ``uns[keys.params]["components"]``.
    keys
        Names of what is written.
    component_probs
        Responsibilities, cells × components.
    cluster_of_component
        Code of every component's cluster.
    cluster_names
        Names of the clusters.
    """
    run = adata.uns[keys.params]
    components, clusters = np.asarray(run["components"]), np.asarray(cluster_names)
    probs = summed_by_cluster(component_probs, cluster_of_component)
    adata.obs[keys.cluster] = _most_probable(probs, clusters)
    adata.obsm[keys.probs] = pd.DataFrame(
        probs, index=adata.obs_names, columns=column_names(clusters)
    )
    adata.obs[keys.confidence] = probs.max(1)
    adata.obs[keys.entropy] = -xlogy(probs, probs).sum(1)
    run["cluster_of_component"] = clusters[np.asarray(cluster_of_component)].astype(object)
    adata.uns.pop(f"{keys.cluster}_colors", None)  # of other clusters
    if len(clusters) < len(components):
        adata.obs[keys.component] = _most_probable(component_probs, components)
        adata.obsm[keys.component_probs] = pd.DataFrame(
            component_probs, index=adata.obs_names, columns=column_names(components)
        )
    elif keys.component in adata.obs:
        del adata.obs[keys.component], adata.obsm[keys.component_probs]


def stored_tree(tree: MergeTree, threshold: float | None) -> dict[str, Any]:
    """A merge tree as ``uns`` holds it, and where it was cut."""
    stored: dict[str, Any] = {"tree": asdict(tree)}
    return stored if threshold is None else stored | {"threshold": threshold}


def _most_probable(probs: np.ndarray, names: np.ndarray) -> pd.Categorical:
    return pd.Categorical(names[probs.argmax(1)], categories=names).remove_unused_categories()
