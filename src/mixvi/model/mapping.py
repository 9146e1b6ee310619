"""Reference mapping: new cells on a trained model that does not move."""

from __future__ import annotations

import numbers
import warnings
from os import PathLike
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from anndata import AnnData

from mixvi._compat import parse_device_args
from mixvi.module import extend_covariates

from .cells import check_cells
from .growth import find_new_components, new_names
from .merging import MergingMixin
from .novelty import FALSE_ALARM_RATE, NoveltyMixin
from .query_genes import with_genes
from .query_setup import check_query, registry_for
from .saved import load_reference

__all__ = ["MappingMixin"]

OF_THE_RUN = {  # not the query's
    "registry_",
    "init_params_",
    "is_trained_",
    "history_",
    "merges_",
    "train_indices_",
    "validation_indices_",
    "test_indices_",
}


class MappingMixin(MergingMixin, NoveltyMixin):
    """Queries: data that a reference was not trained on.

    Attributes
    ----------
    query_weights_, query_columns_
        Names of the weights that hold columns of the query's new covariate categories, and the
        positions of these among the covariates; all that :meth:`train` may change. ``None`` for a
        model that is no query's.
    """

    query_weights_: list[str] | None = None
    query_columns_: list[int] | None = None
    query_growth_: dict[str, Any] | None = None
    _query: AnnData | None = None

    @classmethod
    def prepare_query_anndata(
        cls,
        adata: AnnData,
        reference_model: Any,
        return_reference_var_names: bool = False,
        inplace: bool = True,
    ) -> AnnData | pd.Index | None:
        """Give a query exactly the genes of a reference, in its order; missing ones are zeros.

        :meth:`load_query_data` does the same by itself and leaves the genes of ``adata`` alone.

        Parameters
        ----------
        adata
            Query.
        reference_model
            Trained model, or the directory it was saved to.
        return_reference_var_names
            Only return the reference's genes.
        inplace
            Change ``adata``, or return a new object.

        Returns
        -------
        ``None``, the new object, or the names of the genes.

        Raises
        ------
        ValueError
            If none of the reference's genes is there, or the reference is damaged.
        """
        genes = load_reference(reference_model, [cls])._gene_names()
        if return_reference_var_names:
            return pd.Index(genes)
        prepared = with_genes(adata, genes)
        if not inplace:
            return prepared.copy() if prepared is adata else prepared
        if prepared is not adata:
            adata._init_as_actual(prepared)
        return None

    @classmethod
    def load_query_data(
        cls,
        adata: AnnData,
        reference_model: str | PathLike[str] | Any,
        *,
        n_new_components: int | Literal["auto"] = 0,
        false_alarm_rate: float = FALSE_ALARM_RATE,
        device: str | int = "auto",
        accelerator: str = "auto",
    ) -> Self:
        """Put new cells on a trained model, which does not move.

        The result is a trained model of the same kind that holds the query: with
        ``conditioning="decoder"`` the encoder never sees the covariates, and nothing has to be
        trained. :meth:`train` then fits what only the query's own new covariate categories (a new
        batch) have in the decoder: their weights start at the mean of the known categories. Latent
        codes, assignments and decoded expression of the reference's cells are the same as before.

        Parameters
        ----------
        adata
            Query with the columns that the reference was set up with; labels may be missing. Genes
            are matched by name: missing ones count as zeros, further ones are left out.
        reference_model
            Trained model, or the directory it was saved to; it may be minified.
        n_new_components
            Components to add for cells that the reference does not know (above
            :meth:`novelty_threshold`), named ``novel_0``, …; ``"auto"``: as many groups as lie as
            far apart as the reference's nearest clusters. A cell below the threshold is never
            assigned to one.
        false_alarm_rate
            Share of known cells that may be above the threshold.
        device, accelerator
            Where the model shall be.

        Raises
        ------
        FileNotFoundError
            If there is no such directory.
        KeyError
            If a column that the reference was set up with is missing.
        ValueError
            If the reference is damaged or of another class, none of its genes is there, a column
            has missing values, or there are labels that the reference lacks.
        """
        if n_new_components != "auto" and (
            not isinstance(n_new_components, numbers.Integral) or n_new_components < 0
        ):
            raise ValueError(
                f"expected n_new_components of at least 0 or 'auto', found {n_new_components!r}"
            )
        reference = load_reference(reference_model, [cls])
        adata = reference._modality_of(adata)
        cells = with_genes(adata, reference._gene_names())
        check_cells(cells)
        registry = registry_for(reference)
        setup = registry["setup_args"]
        check_query(cells, setup, reference._known_labels())
        if setup.get("labels_key") is not None and setup["labels_key"] not in cells.obs:
            unlabeled = pd.Series(setup["unlabeled_category"], cells.obs_names, dtype="category")
            cells.obs[setup["labels_key"]] = unlabeled
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* has fewer than 3 cells")  # one is enough
            cls.setup_anndata(cells, source_registry=registry, extend_categories=True, **setup)
        options = dict(reference.init_params_["non_kwargs"])
        for name in ("adata", "registry", "datamodule"):
            options.pop(name, None)
        options["n_components"] = reference.module.prior.n_components
        query = cls(cells, **options)
        old, new = reference.module.covariates, query.module.covariates
        query._take_over(reference)
        state = reference.module.state_dict()
        query.query_weights_ = extend_covariates(state, old, query.module, new)
        query.query_columns_ = sorted(new.extends(old)[1])
        query._query = None if cells is adata else adata
        query.to_device(
            parse_device_args(
                accelerator=accelerator,
                devices=device,
                return_device="torch",
                validate_single_device=True,
            )[2]
        )
        query._freeze()
        query.is_trained_ = True
        if n_new_components:
            query.query_growth_ = {
                "n_components": n_new_components,
                "false_alarm_rate": false_alarm_rate,
            }
            query._grow()
        return query

    def _query_plan(self, plan_kwargs: dict[str, Any] | None) -> dict[str, Any] | None:
        """Arguments of the training plan of a query, ``None`` where nothing can be trained."""
        plan_kwargs = {"weight_decay": 0.0, **(plan_kwargs or {})}
        if plan_kwargs["weight_decay"]:
            raise ValueError(
                "expected weight_decay=0 in the training of a query, found "
                f"{plan_kwargs['weight_decay']}: it would shrink the reference's weights"
            )
        if self._freeze():
            return plan_kwargs
        what = "categories" if self.query_weights_ is None or not self.query_columns_ else "weights"
        warnings.warn(
            f"the query has no covariate {what} that the reference lacks: there is nothing to "
            "train, and train() does nothing; use the model as it is",
            UserWarning,
            stacklevel=3,
        )
        return None

    def _take_over(self, reference: Any) -> None:
        """What the reference knows beside its weights."""
        for name, value in reference._get_user_attributes():
            if name.endswith("_") and not name.startswith("_") and name not in OF_THE_RUN:
                setattr(self, name, value)
        self.train_indices_ = self.validation_indices_ = self.test_indices_ = None

    def _freeze(self) -> int:
        """Leave only what the query's own categories have to train; the number of values."""
        return self.module.freeze_(
            self.query_weights_ or [], self.query_columns_ or [], len(self.module.covariates)
        )

    def _grow(self) -> None:
        """Find components among the cells that the reference does not know."""
        if self.query_growth_ is None:
            return
        n_known = self.module.prior.n_components
        if self.new_components_ is not None:
            n_new = len(self.component_names_) - n_known
            self.new_components_ = None
            del self.component_names_[n_known:]
            del self.cluster_of_component_[n_known:], self.cluster_names_[-n_new:]
        rate = self.query_growth_["false_alarm_rate"]
        threshold = self.novelty_threshold(rate)
        posterior = self._posterior(None, None, None, None, ["latent", "probs", "novelty", "c"])
        novel = posterior["novelty"] > threshold
        means, scale = self._cluster_moments(posterior)
        found = find_new_components(
            posterior["latent"][novel].astype(float),
            len(novel),
            threshold,
            means=means,
            scale=scale,
            **self.query_growth_ | {"false_alarm_rate": self._attainable_rate(rate)},
        )
        if found is None:
            return
        names = new_names([*self.component_names_, *self.cluster_names_], len(found.weights))
        codes = range(len(self.cluster_names_), len(self.cluster_names_) + len(names))
        # new lists: those of the reference are its own
        self.component_names_ = [*self.component_names_, *names]
        self.cluster_of_component_ = [*self.cluster_of_component_, *codes]
        self.cluster_names_ = [*self.cluster_names_, *names]
        self.new_components_ = {
            "weights": found.weights.tolist(),
            "means": found.means.tolist(),
            "scales": found.scales.tolist(),
            "threshold": threshold,
        }

    def _cluster_moments(self, posterior: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Means of the clusters, and the scale of the cells around them."""
        table = self._component_table(posterior)
        codes = np.asarray(self.cluster_of_component_)
        mean, second = table.means.to_numpy(), table.scales.to_numpy() ** 2
        member = (codes == np.arange(codes.max() + 1)[:, None]).astype(float)
        member /= member.sum(1, keepdims=True)
        centers = member @ mean
        within = second + (mean - centers[codes]) ** 2
        return centers, np.sqrt(within.mean(0))
