"""Where in AnnData things are, and what of it the model knows."""

from __future__ import annotations

from typing import Any, Literal, get_args
from weakref import WeakValueDictionary, finalize

import numpy as np
from anndata import AnnData
from scvi import REGISTRY_KEYS
from scvi.data import fields
from scvi.model.base import BaseMinifiedModeModelClass

from mixvi._compat import get_minify_type
from mixvi._numbers import check_at_least
from mixvi.module import CONDITION_KEY, Covariates

from .cells import check_anndata, check_cells, check_indices
from .checks import check_columns, check_matrix, get_matrix
from .columns import as_list, check_categories, warn_of_misspelling
from .genes import match_genes
from .joint_categories import JointCategories
from .label_column import LabelColumn
from .manager import CellManager, attach
from .options import choice

__all__ = ["ConditionEffect", "RegistrationMixin"]

ConditionEffect = Literal["decoder", "latent"]

COUNT_LIKELIHOODS = ("nb", "zinb", "poisson")
HEAD = 200  # cells looked at again of those that were checked before


class RegistrationMixin(BaseMinifiedModeModelClass):
    """Registering AnnData, and reading back what was registered."""

    @classmethod
    def setup_anndata(
        cls,
        adata: AnnData,
        layer: str | None = None,
        batch_key: str | None = None,
        condition_key: str | None = None,
        labels_key: str | None = None,
        unlabeled_category: str | None = None,
        size_factor_key: str | None = None,
        categorical_covariate_keys: list[str] | None = None,
        continuous_covariate_keys: list[str] | None = None,
        **kwargs,
    ) -> None:
        """Tell the model where in ``adata`` things are.

        Parameters
        ----------
        adata
            Cells × genes.
        layer
            Layer with raw counts (or, for other likelihoods, what is to be modeled); ``X`` if
            ``None``.
        batch_key
            ``obs`` column of the technical batch.
        condition_key
            ``obs`` column of the biological condition, for example the treatment.
        labels_key
            ``obs`` column of known cell types. **They are learned from**: the first components
            are tied to them. Leave it out to cluster without supervision. Cells that the model is
            asked about later need no such column.
        unlabeled_category
            Category of ``labels_key`` that marks a cell without a label; without it every cell
            counts as labeled.
        size_factor_key
            ``obs`` column of size factors to use in place of the observed library size.
        categorical_covariate_keys, continuous_covariate_keys
            ``obs`` columns of further covariates.
        **kwargs
            For scvi-tools: ``source_registry`` and the like.

        Raises
        ------
        KeyError
            If a column or layer is missing.
        TypeError
            If a column mixes kinds of values.
        ValueError
            If ``adata`` is a view or empty, a categorical column has missing values, or there is an
            ``unlabeled_category`` of no labels.
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        check_cells(adata)
        get_matrix(adata, layer)
        if "source_registry" not in kwargs:
            if unlabeled_category is not None and labels_key is None:
                raise ValueError(
                    f"expected labels_key with unlabeled_category={unlabeled_category!r}, found "
                    "none; name the column with the labels, or leave both out"
                )
            categorical = [
                batch_key,
                condition_key,
                labels_key,
                *as_list(categorical_covariate_keys, "categorical_covariate_keys"),
            ]
            check_columns(
                adata,
                [key for key in categorical if key is not None],
                numeric=as_list(continuous_covariate_keys, "continuous_covariate_keys"),
                positive=[size_factor_key] if size_factor_key is not None else [],
            )
            if unlabeled_category is not None:
                warn_of_misspelling(adata.obs[labels_key], str(unlabeled_category))
        labels_field = (
            fields.CategoricalObsField(REGISTRY_KEYS.LABELS_KEY, labels_key)
            if labels_key is None
            else LabelColumn(REGISTRY_KEYS.LABELS_KEY, labels_key, unlabeled_category)
        )
        anndata_fields = [
            fields.LayerField(REGISTRY_KEYS.X_KEY, layer, is_count_data=False),
            fields.CategoricalObsField(REGISTRY_KEYS.BATCH_KEY, batch_key),
            labels_field,
            fields.CategoricalObsField(CONDITION_KEY, condition_key),
            fields.NumericalObsField(
                REGISTRY_KEYS.SIZE_FACTOR_KEY, size_factor_key, required=False
            ),
            JointCategories(REGISTRY_KEYS.CAT_COVS_KEY, categorical_covariate_keys),
            fields.NumericalJointObsField(REGISTRY_KEYS.CONT_COVS_KEY, continuous_covariate_keys),
        ]
        minify_type = get_minify_type(adata)
        if minify_type is not None:
            anndata_fields += cls._get_fields_for_adata_minification(minify_type)
        manager = CellManager(fields=anndata_fields, setup_method_args=setup_method_args)
        manager.register_fields(adata, **kwargs)
        cls.register_manager(manager)

    def _validate_anndata(self, adata: AnnData | None = None, copy_if_view: bool = True) -> AnnData:
        """Register ``adata`` with this model, its genes in the model's order."""
        if adata is None:
            if self.adata is None:
                raise ValueError(
                    "expected cells, found none: the model was loaded without its AnnData; "
                    "pass adata="
                )
            self._check_matrix(self.adata, cells=slice(HEAD))
            return super()._validate_anndata(None, copy_if_view)
        check_anndata(adata)
        matched = match_genes(adata, self._gene_names())
        self._check_known(matched)
        return super()._validate_anndata(matched, copy_if_view)

    @classmethod
    def _get_most_recent_anndata_manager(cls, adata: AnnData, required: bool = False) -> Any:
        check_anndata(adata)
        try:
            return super()._get_most_recent_anndata_manager(adata, required)
        except ValueError as error:
            raise ValueError(
                f"expected an AnnData that {cls.__name__}.setup_anndata has seen, found another (a "
                f"copy, or one set up for another model); call {cls.__name__}.setup_anndata on it"
            ) from error

    def _make_data_loader(
        self, adata: AnnData, indices: Any = None, batch_size: int | None = None, **kwargs: Any
    ) -> Any:
        if indices is not None:
            indices = check_indices(indices, adata.n_obs)
        if batch_size is not None:
            check_at_least(1, batch_size=batch_size)
        return super()._make_data_loader(adata, indices, batch_size, **kwargs)

    def _check_known(self, adata: AnnData) -> None:
        """Refuse cells that the model would say something wrong about.

        Those that it has seen before may have been normalized in place since: of them a few are
        looked at, of others all.
        """
        managers = self._per_instance_manager_store.get(self.id, {})
        manager = managers.get(adata.uns.get("_scvi_uuid"))
        if manager is not None and manager.adata is adata:
            self._check_matrix(adata, cells=slice(HEAD))
            return
        setup = self.registry_["setup_args"]
        keys = {
            REGISTRY_KEYS.BATCH_KEY: setup.get("batch_key"),
            CONDITION_KEY: setup.get("condition_key"),
        }
        size_factor = setup.get("size_factor_key")
        check_columns(
            adata,
            [*filter(None, keys.values()), *(setup.get("categorical_covariate_keys") or [])],
            numeric=setup.get("continuous_covariate_keys") or [],
            positive=[size_factor] if size_factor is not None else [],
        )
        for name, key in keys.items():
            if key is not None:
                check_categories(adata, key, self._categories(name))
        state = self.registry_["field_registries"].get(REGISTRY_KEYS.CAT_COVS_KEY, {})
        for key, known in state.get("state_registry", {}).get("mappings", {}).items():
            check_categories(adata, key, np.asarray(known))
        self._check_matrix(adata)

    def _check_matrix(
        self,
        adata: AnnData,
        gene_likelihood: str | None = None,
        cells: slice = slice(None),
    ) -> None:
        """Check the values that the model reads."""
        if get_minify_type(adata) is not None:
            return
        layer = self.registry_["setup_args"].get("layer")
        matrix = get_matrix(adata, layer)
        check_matrix(
            matrix if cells == slice(None) else matrix[cells],
            counts=(gene_likelihood or self.module.gene_likelihood) in COUNT_LIKELIHOODS,
            obs_names=adata.obs_names[cells],
            var_names=adata.var_names,
            what="X" if layer is None else layer,
        )

    @classmethod
    def register_manager(cls, adata_manager: Any) -> None:
        """Keep a manager for as long as its AnnData; scvi-tools would keep both forever."""
        if not isinstance(cls._setup_adata_manager_store, WeakValueDictionary):
            cls._setup_adata_manager_store = WeakValueDictionary()
        attach(adata_manager, cls.__name__)
        super().register_manager(adata_manager)

    def _register_manager_for_instance(self, adata_manager: Any) -> None:
        store = self._per_instance_manager_store
        if self.id not in store:
            store[self.id] = WeakValueDictionary()
            finalize(self, store.pop, self.id, None)
        attach(adata_manager, f"model of {type(self).__name__}")
        super()._register_manager_for_instance(adata_manager)

    def _gene_names(self) -> np.ndarray:
        state = self.registry_["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"]
        return np.asarray(state["column_names"])

    def _categories(self, key: str) -> np.ndarray:
        """Categories of a registered column, in the order of their codes."""
        state = self.registry_["field_registries"].get(key, {}).get("state_registry", {})
        return np.asarray(state.get("categorical_mapping", []))

    def _covariates(self, condition_effect: ConditionEffect = "decoder") -> Covariates:
        """How c is made; the condition is not in it where its effect is to stay in z."""
        choice("condition_effect", condition_effect, get_args(ConditionEffect))
        registries = self.registry_["field_registries"]
        stats = self.summary_stats
        cat_state = registries.get(REGISTRY_KEYS.CAT_COVS_KEY, {}).get("state_registry", {})
        return Covariates(
            n_batch=stats.get("n_batch", 1),
            n_condition=1 if condition_effect == "latent" else stats.get(f"n_{CONDITION_KEY}", 1),
            n_cats_per_cov=cat_state.get("n_cats_per_key", ()),
            n_continuous=stats.get(f"n_{REGISTRY_KEYS.CONT_COVS_KEY}", 0),
        )

    def _known_labels(self) -> list[str]:
        """Names of the labels to learn from, none without ``labels_key``."""
        setup_args = self.registry_["setup_args"]
        if setup_args.get("labels_key") is None:
            return []
        unlabeled = setup_args.get("unlabeled_category")
        names = self._categories(REGISTRY_KEYS.LABELS_KEY)
        return [str(name) for name in names if unlabeled is None or str(name) != str(unlabeled)]
