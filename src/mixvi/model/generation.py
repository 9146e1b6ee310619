"""Decoding components and drawing new cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from torch import Tensor
from torch.distributions import Normal

from mixvi._numbers import check_at_least
from mixvi.distributions.sparse import row_sums
from mixvi.module import CONDITION_KEY

from .contexts import covariate_contexts
from .options import check_library_size
from .posterior import PosteriorMixin

__all__ = ["GenerationMixin"]


class GenerationMixin(PosteriorMixin):
    """The generative story told forward."""

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
            If a condition was not in the training data, or a number is not positive.
        """
        check_library_size(library_size)
        if conditions is not None and not len(conditions):
            raise ValueError("expected at least one condition, found none; leave it out for all")
        posterior = self._posterior(adata, indices, batch_size, dataloader, ["c"])
        c, share = covariate_contexts(posterior["c"], self.device)
        names = pd.Index(self.component_names_, name="component")
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
            If the component or condition is unknown, a number is not positive, or the model has no
            AnnData to draw covariates from.
        """
        check_at_least(1, n_obs=n_obs)
        if library_size is not None:
            check_library_size(library_size)
        loader = self._loader(None, None, None, None)
        parts = [self.module._get_inference_input(tensors) for tensors in loader]
        c = torch.cat([part["c"] for part in parts])
        library = torch.cat(
            [
                (row_sums(part["x"]) if "x" in part else part["observed_lib_size"]).flatten()
                for part in parts
            ]
        )
        rows = torch.randint(len(c), (n_obs,))
        c, library = c[rows].to(self.device), library[rows].to(self.device)
        if condition is not None:
            c = self.module.covariates.with_condition(c, self._condition_code(condition))
        components = None
        if component is not None:
            if component not in self.component_names_:
                raise ValueError(
                    f"expected one of the components {self.component_names_}, found {component!r}"
                )
            code = self.component_names_.index(component)
            components = torch.full((n_obs,), code, device=self.device)
        if library_size is not None:
            library = torch.full_like(library, library_size)
        log_depth = library.clamp(min=1e-8).log()[:, None]
        z = self._draw(c, components)
        return self.module.generative(z, log_depth, c)["px"].sample().cpu().numpy()

    def _draw(self, c: Tensor, components: Tensor | None) -> Tensor:
        """Latent codes: z ~ p(z | c), or of given components, those of a query among them."""
        n_known, grown = self.module.prior.n_components, self._grown
        if grown is None or components is None or components[0] < n_known:
            return self.module.prior.sample(c, components)
        at = components.cpu().numpy() - n_known
        mean, scale = (torch.as_tensor(v[at]).to(c) for v in (grown.means, grown.scales))
        return Normal(mean, scale).sample()

    @torch.inference_mode()
    def _decode(self, c: Tensor, share: Tensor, library_size: float) -> np.ndarray:
        """Mean decoded expression of every component's center over covariate rows."""
        module = self.module
        centers = module.prior.centers(c).loc  # (rows, K, D)
        if (grown := self._grown) is not None:
            new = torch.as_tensor(grown.means).to(centers)
            centers = torch.cat([centers, new.expand(len(centers), *new.shape)], 1)
        log_depth = torch.full((len(c), 1), float(np.log(library_size)), device=c.device)
        profiles = [
            module.generative(centers[:, k], log_depth, c)["px"].get_normalized("mu")
            for k in range(centers.shape[1])
        ]
        return torch.stack([share @ profile for profile in profiles]).cpu().numpy()

    def _condition_code(self, condition: str) -> int:
        known = [str(name) for name in self._categories(CONDITION_KEY)]
        if self.registry_["setup_args"].get("condition_key") is None or condition not in known:
            raise ValueError(
                f"expected a condition of the training data ({', '.join(known)}), found "
                f"{condition!r}; set condition_key in setup_anndata to model conditions"
            )
        return known.index(condition)
