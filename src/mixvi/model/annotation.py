"""Writing what a model says about cells into their AnnData."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from anndata import AnnData

from mixvi._keys import Keys

from .posterior import PosteriorMixin

__all__ = ["AnnotationMixin"]


class AnnotationMixin(PosteriorMixin):
    """AnnData in, AnnData annotated."""

    _name: ClassVar[str]

    def annotate(
        self,
        adata: AnnData | None = None,
        *,
        key_added: str | None = None,
        batch_size: int | None = None,
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

        Notes
        -----
        ``obsm["X_{key}"]`` mean of q(z | x), ``obsm["X_{key}_w"]`` mean of q(w | x) (models with a
        style), ``obs["{key}"]`` most probable component, ``obsm["{key}_probs"]`` responsibilities,
        ``obs["{key}_confidence"]`` the largest of them, ``obs["{key}_novelty"]`` −log p(z) in nats,
        ``uns["{key}"]`` parameters, components' names and weights, versions.
        """
        target = self.adata if adata is None else adata
        posterior = self._posterior(adata, None, batch_size, None)
        probs = posterior["probs"]
        keys = Keys(key_added or self._name)
        target.obsm[keys.latent] = posterior["latent"]
        if "style" in posterior:
            target.obsm[keys.style] = posterior["style"]
        names = np.asarray(self.cluster_names_)
        clusters = pd.Categorical(names[probs.argmax(1)], categories=names)
        target.obs[keys.cluster] = clusters.remove_unused_categories()
        target.obsm[keys.probs] = pd.DataFrame(probs, index=target.obs_names, columns=names)
        target.obs[keys.confidence] = probs.max(1)
        target.obs[keys.novelty] = posterior["novelty"]
        target.uns[keys.params] = {
            "model": type(self).__name__,
            "params": _storable(self.init_params_["non_kwargs"]),
            "weights": probs.mean(0),
            "components": names.astype(object),
            "versions": {name: version(name) for name in ("mixvi", "scvi-tools", "torch")},
        }


def _storable(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters as ``.h5ad`` can hold them: what is ``None`` is left out."""
    return {name: value for name, value in params.items() if value is not None}
