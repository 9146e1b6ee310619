"""Clusters: assignments, components, profiles, and writing them to AnnData."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from torch import Tensor

from .._keys import Keys

__all__ = ["ClusterMixin", "ComponentTable"]

MAX_CONTEXTS = 512  # covariate rows that a component's profile is averaged over


@dataclass(frozen=True)
class ComponentTable:
    """The components of a mixture, one row each.

    Attributes
    ----------
    weights
        Share of the cells, Σ_n q(y = k | z_n) / n.
    means, scales
        Mean and standard deviation of p(z | y = k), components × latent dimensions, a style at
        the mean of its prior.
    """

    weights: pd.Series
    means: pd.DataFrame
    scales: pd.DataFrame


class ClusterMixin:
    """What a mixture in the latent space says about cells."""

    def predict(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
    ) -> np.ndarray:
        """Name of every cell's most probable component.

        The mean of q(z | x) is used, not a sample of it: labels do not jitter.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells to use; by default those that the model was made with.

        Returns
        -------
        Names (see ``cluster_names_``), one per cell.
        """
        posterior = self._posterior(adata, indices, batch_size, dataloader)
        return np.asarray(self.cluster_names_)[posterior["probs"].argmax(1)]

    def predict_proba(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
    ) -> pd.DataFrame:
        """Responsibilities q(y = k | z) at the mean of q(z | x): cells × components, rows sum to 1.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells to use; by default those that the model was made with.
        """
        posterior = self._posterior(adata, indices, batch_size, dataloader)
        index = self._cell_names(adata, indices, dataloader)
        return pd.DataFrame(posterior["probs"], index=index, columns=self.cluster_names_)

    def get_style_representation(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
    ) -> np.ndarray:
        """Mean of q(w | x), cells × style dimensions: variation that all components share.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells to use; by default those that the model was made with.

        Raises
        ------
        ValueError
            If the model has no style, or ``adata`` is minified (w needs the expression).
        """
        if not self.module.prior.n_style:
            raise ValueError("expected a model with a style, found n_style=0; use n_style > 0")
        if self.minified_data_type is not None and dataloader is None:
            raise ValueError(
                "expected expression to infer the style from, found minified data; get the style "
                "before minifying"
            )
        return self._posterior(adata, indices, batch_size, dataloader)["style"]

    def get_components(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
    ) -> ComponentTable:
        """Weights, means and scales of the components.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells whose shares are the weights (and whose covariates the means are averaged over,
            where the components see covariates); by default those that the model was made with.
        """
        posterior = self._posterior(adata, indices, batch_size, dataloader)
        c, share = _contexts(posterior["c"], self.device)
        with torch.inference_mode():
            centers = self.module.prior.centers(c)
            loc = torch.einsum("b,bkd->kd", share, centers.loc).cpu().numpy()
            scale = torch.einsum("b,bkd->kd", share, centers.scale).cpu().numpy()
        names = pd.Index(self.cluster_names_, name="component")
        dimensions = [f"z{i}" for i in range(loc.shape[1])]
        return ComponentTable(
            weights=pd.Series(posterior["probs"].mean(0), index=names, name="weight"),
            means=pd.DataFrame(loc, index=names, columns=dimensions),
            scales=pd.DataFrame(scale, index=names, columns=dimensions),
        )

    def get_component_profiles(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
        *,
        conditions: Sequence[str] | None = None,
        library_size: float = 1.0,
    ) -> pd.DataFrame:
        """Decoded mean expression of every component: the "cluster heads".

        The center of p(z | y = k) is decoded and averaged over the covariates of the given cells
        (so a profile belongs to no batch), or over them with the condition set to each of
        ``conditions``.

        Parameters
        ----------
        adata, indices, batch_size, dataloader
            Cells whose covariates are averaged over; by default those that the model was made
            with.
        conditions
            Categories of ``condition_key`` to decode under.
        library_size
            Counts per cell that the profiles add up to; 1 gives shares. Not used by likelihoods
            of real data.

        Returns
        -------
        Components × genes; with ``conditions`` the rows are (component, condition).

        Raises
        ------
        ValueError
            If a condition was not in the training data.
        """
        posterior = self._posterior(adata, indices, batch_size, dataloader)
        c, share = _contexts(posterior["c"], self.device)
        names = pd.Index(self.cluster_names_, name="component")
        genes = pd.Index(self._gene_names())
        if conditions is None:
            return pd.DataFrame(self._decode(c, share, library_size), index=names, columns=genes)
        profiles = {}
        for condition in conditions:
            code = self._condition_code(condition)
            moved = self.module.covariates.with_condition(c, code)
            profiles[condition] = pd.DataFrame(
                self._decode(moved, share, library_size), index=names, columns=genes
            )
        joined = pd.concat(profiles, names=["condition"]).swaplevel()
        return joined.loc[[(n, condition) for n in names for condition in conditions]]

    @torch.inference_mode()
    def sample(
        self,
        n_obs: int = 1,
        *,
        component: str | None = None,
        condition: str | None = None,
        library_size: float | None = None,
    ) -> np.ndarray:
        """Draw new cells from the generative story: w, y, z, then x.

        Parameters
        ----------
        n_obs
            Number of cells.
        component
            Draw all of them from this component; by default components are drawn by their
            weights.
        condition
            Draw them under this condition; by default covariates are drawn from the training
            cells'.
        library_size
            Expected counts per cell; by default drawn from the training cells'. Not used by
            likelihoods of real data.

        Returns
        -------
        Cells × genes.

        Raises
        ------
        ValueError
            If the component or condition is unknown, or the model has no AnnData to draw
            covariates from.
        """
        loader = self._loader(None, None, None, None)
        parts = [self.module._get_inference_input(tensors) for tensors in loader]
        c = torch.cat([part["c"] for part in parts])
        library = torch.cat(
            [part["x"].sum(-1) if "x" in part else part["observed_lib_size"].flatten()
             for part in parts]
        )
        rows = torch.randint(len(c), (n_obs,))
        c, library = c[rows].to(self.device), library[rows].to(self.device)
        if condition is not None:
            c = self.module.covariates.with_condition(c, self._condition_code(condition))
        components = None
        if component is not None:
            if component not in self.cluster_names_:
                raise ValueError(
                    f"expected one of the components {self.cluster_names_}, found {component!r}"
                )
            code = self.cluster_names_.index(component)
            components = torch.full((n_obs,), code, device=self.device)
        if library_size is not None:
            library = torch.full_like(library, library_size)
        log_depth = library.clamp(min=1e-8).log()[:, None]
        z = self.module.prior.sample(c, components)
        return self.module.generative(z, log_depth, c)["px"].sample().cpu().numpy()

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
        ``uns["{key}"]`` parameters, weights and versions.
        """
        target = self.adata if adata is None else adata
        posterior = self._posterior(adata, None, batch_size, None)
        probs = posterior["probs"]
        keys = Keys(key_added or self._name)
        target.obsm[keys.latent] = posterior["latent"]
        if "style" in posterior:
            target.obsm[keys.style] = posterior["style"]
        names = np.asarray(self.cluster_names_)
        clusters = pd.Categorical.from_codes(probs.argmax(1), categories=names)
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

    # helpers ----------------------------------------------------------------------------------

    @torch.inference_mode()
    def _posterior(
        self,
        adata: AnnData | None,
        indices: Sequence[int] | None,
        batch_size: int | None,
        dataloader: Iterator[dict[str, Tensor]] | None,
    ) -> dict[str, np.ndarray]:
        """Latent mean, responsibilities, novelty, style and covariates, all in one pass."""
        module, prior = self.module, self.module.prior
        parts: dict[str, list[Tensor]] = {}
        for tensors in self._loader(adata, indices, batch_size, dataloader):
            outputs = module.inference(**module._get_inference_input(tensors))
            z, c = outputs["qz"].loc, outputs["c"]
            batch = {
                "latent": z,
                "probs": prior.assignment(z, c).probs,
                "novelty": -prior.log_prob(z, c),
                "c": c,
            }
            if prior.n_style and "h" in outputs:
                batch["style"] = prior.style(outputs["h"]).loc
            for name, value in batch.items():
                parts.setdefault(name, []).append(value.cpu())
        return {name: torch.cat(values).numpy() for name, values in parts.items()}

    @torch.inference_mode()
    def _decode(self, c: Tensor, share: Tensor, library_size: float) -> np.ndarray:
        """Mean decoded expression of every component's center over covariate rows."""
        module = self.module
        centers = module.prior.centers(c).loc  # (rows, K, D)
        log_depth = torch.full((len(c), 1), float(np.log(library_size)), device=c.device)
        profiles = [
            module.generative(centers[:, k], log_depth, c)["px"].get_normalized("mu")
            for k in range(centers.shape[1])
        ]
        return torch.stack([share @ profile for profile in profiles]).cpu().numpy()

    def _condition_code(self, condition: str) -> int:
        known = [str(name) for name in self._categories("condition")]
        if self.registry_["setup_args"].get("condition_key") is None or condition not in known:
            raise ValueError(
                f"expected a condition of the training data ({', '.join(known)}), found "
                f"{condition!r}; set condition_key in setup_anndata to model conditions"
            )
        return known.index(condition)

    def _cell_names(
        self,
        adata: AnnData | None,
        indices: Sequence[int] | None,
        dataloader: Iterator[dict[str, Tensor]] | None,
    ) -> pd.Index | None:
        if dataloader is not None:
            return None
        names = (self.adata if adata is None else adata).obs_names
        return names if indices is None else names[np.asarray(indices)]


def _contexts(c: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """The distinct covariate rows of the cells and their shares."""
    rows, counts = np.unique(c, axis=0, return_counts=True)
    if len(rows) > MAX_CONTEXTS:  # continuous covariates: evenly spaced rows stand for all
        picked = np.linspace(0, len(rows) - 1, MAX_CONTEXTS).astype(int)
        rows, counts = rows[picked], counts[picked]
    share = torch.as_tensor(counts / counts.sum(), dtype=torch.float32, device=device)
    return torch.as_tensor(rows, device=device), share


def _storable(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters as ``.h5ad`` can hold them: what is ``None`` is left out."""
    return {name: value for name, value in params.items() if value is not None}
