"""Cells as they would look under another condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from torch import Tensor

from mixvi._keys import Counterfactual

from .asked import Asked, Route, Scale, check_asked
from .shown import ShownMixin

__all__ = ["CounterfactualMixin"]


class CounterfactualMixin(ShownMixin):
    """Expression and latent codes under circumstances that a cell was not measured in."""

    @torch.inference_mode()
    def predict_counterfactual(
        self,
        adata: AnnData | None,
        target: Mapping[str, str],
        *,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
        reference: AnnData | None = None,
        route: Route = "shift",
        anchor: float = 0.0,
        scale: Scale = "rate",
        library_size: float | Literal["latent"] = 1e4,
        n_samples: int = 0,
        draw_counts: bool = False,
    ) -> AnnData:
        r"""Show cells under another condition, also types that were never measured in it.

        .. math::

           z' = z + \sum_k q(y{=}k|x)\, \hat\delta_k, \qquad \rho' = \rho(z', c'), \qquad
           \hat\delta_k = s_k + \lambda_k (\delta_k - s_k), \quad s_k = \sum_j a_{kj} \delta_j

        :math:`\delta_k` is how far the cells of cluster k in the target lie from those in the
        source. It is shrunk to what clusters with a similar source profile do (a, a softmax of
        similarity whose temperature is chosen by leaving every cluster out in turn); a cluster
        that was not seen in the target takes that whole. c' are the cell's covariates with the
        named ones at the target. The change is then put on the cell's own expression as far as
        ``anchor`` says:

        .. math:: x' = a\,[x \min(1, \rho'/\rho) + \ell \max(0, \rho' - \rho)]
                  + (1 - a)\,\ell \rho'

        (depth ℓ; counts can be lost in proportion only, and gained from nothing). On the log scale,
        and for likelihoods of real data, the difference of the means is added. A cell that is in
        the target already is left where it is, and gets its ordinary reconstruction.

        Parameters
        ----------
        adata
            Cells to show; ``None`` for those that the model was made with.
        target
            Registered ``obs`` columns and the category wanted, for example
            ``{"stim": "stimulated"}``.
        indices, batch_size, dataloader
            Cells to use, and how many per pass.
        reference
            Cells that show what the condition does (``route="shift"``); by default those that the
            model was made with.
        route
            ``"shift"``: as above. ``"prior"``: z' = Σ_k q(y = k | x) μ_k(w, c'), the mean of
            p(z | w, y, c') as in the thesis :cite:p:`kolb2023`; for ``conditioning="full"``.
            ``"decoder"``: z' = z, c alone changes, as in a conditional VAE.
        anchor
            Share a of the cell's own expression that the change is put on. 0: the model's word
            alone, smooth. 1: all that the model does not explain is kept, noise included.
        scale
            ``"rate"``: expected expression of the decoder. ``"log"``: expected log(1 + counts per
            10,000), to compare with the mean of log-normalized cells (the log of an expected rate
            lies far above it where counts are few). The mean of two paths fitted to the reference:
            a ridge regression on the decoder's hidden units and z, and 20 principal components
            that are shifted with the same weights a.
        library_size
            For ``scale="rate"``: counts per cell of the result, or ``"latent"`` for the cell's own
            depth. Not used by likelihoods of real data.
        n_samples
            Draws of z ~ q(z | x) and of the shifts (with the spread that leaving clusters out
            shows, for types not seen in the target) for the uncertainty; 0 for none.
        draw_counts
            Draw counts as they would be measured, too: noise of the likelihood included, at the
            cell's own depth. To be compared with measured cells after log(1 + x), which the mean of
            counts is not.

        Returns
        -------
        AnnData, cells × genes of the model: ``X`` expression x', ``layers["source"]`` the ordinary
        reconstruction, ``obsm["X_counterfactual"]`` z' and ``obsm["X_source"]`` z, ``obs`` of the
        cells with the named columns at the target; with ``n_samples`` ``layers["std"]``,
        ``layers["lower"]``, ``layers["upper"]`` (5 % and 95 %); with ``draw_counts``
        ``layers["counts"]``. ``uns["counterfactual"]`` says what was asked and how the shifts were
        found.

        Raises
        ------
        KeyError
            If a column was not registered.
        ValueError
            If a category was not in the training data, no cluster shows the shift, or an option is
            not possible.
        """
        codes = self._target_codes(target)
        check_asked(self, codes, route, anchor, scale, library_size, n_samples, draw_counts)
        if route == "shift" or scale == "log":
            self._check_reference(reference)
        asked = Asked(codes, reference, route, anchor, scale, library_size, n_samples, draw_counts)
        parts: dict[str, list[np.ndarray]] = {}
        for tensors in self._loader(adata, indices, batch_size, dataloader):
            for name, value in self._shown(tensors, asked).items():
                parts.setdefault(name, []).append(value.float().cpu().numpy())
        found = {name: np.concatenate(values) for name, values in parts.items()}
        if dataloader is not None:
            obs = pd.DataFrame(index=[str(i) for i in range(len(found["latent"]))])
        else:
            rows = slice(None) if indices is None else np.asarray(indices)
            obs = (self.adata if adata is None else adata).obs.iloc[rows].copy()
        for key, category in self._named(asked.codes).items():
            obs[key] = pd.Categorical([category] * len(obs))
        return AnnData(
            X=found.pop("expression"),
            obs=obs,
            var=pd.DataFrame(index=self._gene_names().astype(str)),
            obsm={
                Counterfactual.latent: found.pop("latent"),
                Counterfactual.source_latent: found.pop("source_latent"),
            },
            layers=found,
            uns={Counterfactual.params: self._told(asked)},
        )

    def _told(self, asked: Asked) -> dict[str, Any]:
        """What was asked and found, as ``uns`` holds it."""
        shifts = {}
        for source, found in asked.shifts.items():
            named = self._named(dict(zip(asked.codes, source, strict=True)))
            shifts[", ".join(named.values())] = {
                "temperature": found.temperature,
                "explained": found.explained,
                "measured": found.measured.seen,
                "weights": found.weights,
            }
        return {
            "target": self._named(asked.codes),
            "route": asked.route,
            "anchor": asked.anchor,
            "scale": asked.scale,
            "library_size": asked.library_size,
            "clusters": np.asarray(self._shifted_clusters(), dtype=object),
            "shifts": shifts,
        }
