"""What every model of the family has: AnnData in, a module, training, one-line description."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from anndata import AnnData
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager, fields
from scvi.model.base import (
    BaseMinifiedModeModelClass,
    RNASeqMixin,
    UnsupervisedTrainingMixin,
    VAEMixin,
)

from .._compat import get_minify_type
from ..distributions import (
    BernoulliLikelihood,
    GaussianArrow,
    HiddenLayers,
    Likelihood,
    NegativeBinomialLikelihood,
    NormalLikelihood,
    PoissonLikelihood,
    ZeroInflatedNegativeBinomialLikelihood,
)
from ..distributions.hidden import Norm
from ..module import CONDITION_KEY, Covariates, MixtureVAE
from ..priors import LatentPrior
from ..train import KeepBest, MixturePlan, Schedule, StartComponents, default_epochs
from .checks import check_columns, check_matrix, check_n_components, get_matrix
from .clusters import ClusterMixin
from .density import DensityMixin
from .genes import match_genes
from .options import choice

__all__ = ["Conditioning", "GeneLikelihood", "MixtureModel"]

logger = logging.getLogger(__name__)

GeneLikelihood = Literal["nb", "zinb", "poisson", "normal", "bernoulli"]
Conditioning = Literal["decoder", "partial", "full"]

COUNT_LIKELIHOODS = {
    "nb": NegativeBinomialLikelihood,
    "zinb": ZeroInflatedNegativeBinomialLikelihood,
    "poisson": PoissonLikelihood,
}
OTHER_LIKELIHOODS = {"normal": NormalLikelihood, "bernoulli": BernoulliLikelihood}


class MixtureModel(
    ClusterMixin,
    DensityMixin,
    RNASeqMixin,
    VAEMixin,
    UnsupervisedTrainingMixin,
    BaseMinifiedModeModelClass,
):
    """Base of the models; a subclass adds the latent prior.

    Attributes
    ----------
    cluster_names_
        Name of every component: the labels of the components that are tied to one, then
        ``novel_1``, …; the components' numbers where there are no labels.
    """

    _module_cls = MixtureVAE
    _training_plan_cls = MixturePlan
    _name: ClassVar[str]

    cluster_names_: list[str]

    # data -------------------------------------------------------------------------------------

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
            are tied to them. Leave it out to cluster without supervision.
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
        ValueError
            If a categorical column has missing values.
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        if "source_registry" not in kwargs:
            categorical = [batch_key, condition_key, labels_key, *(categorical_covariate_keys or [])]
            check_columns(
                adata,
                [key for key in categorical if key is not None],
                numeric=continuous_covariate_keys or [],
                positive=[size_factor_key] if size_factor_key is not None else [],
            )
        labels_field = (
            fields.CategoricalObsField(REGISTRY_KEYS.LABELS_KEY, labels_key)
            if labels_key is None or unlabeled_category is None
            else fields.LabelsWithUnlabeledObsField(
                REGISTRY_KEYS.LABELS_KEY, labels_key, unlabeled_category
            )
        )
        anndata_fields = [
            fields.LayerField(REGISTRY_KEYS.X_KEY, layer, is_count_data=False),
            fields.CategoricalObsField(REGISTRY_KEYS.BATCH_KEY, batch_key),
            labels_field,
            fields.CategoricalObsField(CONDITION_KEY, condition_key),
            fields.NumericalObsField(
                REGISTRY_KEYS.SIZE_FACTOR_KEY, size_factor_key, required=False
            ),
            fields.CategoricalJointObsField(
                REGISTRY_KEYS.CAT_COVS_KEY, categorical_covariate_keys
            ),
            fields.NumericalJointObsField(REGISTRY_KEYS.CONT_COVS_KEY, continuous_covariate_keys),
        ]
        minify_type = get_minify_type(adata)
        if minify_type is not None:
            anndata_fields += cls._get_fields_for_adata_minification(minify_type)
        manager = AnnDataManager(fields=anndata_fields, setup_method_args=setup_method_args)
        manager.register_fields(adata, **kwargs)
        cls.register_manager(manager)

    def _validate_anndata(
        self, adata: AnnData | None = None, copy_if_view: bool = True
    ) -> AnnData:
        """Register ``adata`` with this model, its genes in the model's order."""
        if adata is None:
            if self.adata is None:
                raise ValueError(
                    "expected cells, found none: the model was loaded without its AnnData; "
                    "pass adata="
                )
            return super()._validate_anndata(None, copy_if_view)
        matched = match_genes(adata, self._gene_names())
        if matched is not adata:
            # a temporary of ours: the manager of the one before is not needed any more
            self._forget_manager(getattr(self, "_matched_uuid", None))
            matched = super()._validate_anndata(matched, copy_if_view)
            self._matched_uuid = matched.uns["_scvi_uuid"]
            return matched
        return super()._validate_anndata(adata, copy_if_view)

    def _forget_manager(self, uuid: str | None) -> None:
        current = self.adata_manager.adata_uuid if self.adata_manager is not None else None
        if uuid is not None and uuid != current:
            self._per_instance_manager_store.get(self.id, {}).pop(uuid, None)

    def _gene_names(self) -> np.ndarray:
        state = self.registry_["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"]
        return np.asarray(state["column_names"])

    def _categories(self, key: str) -> np.ndarray:
        """Categories of a registered column, in the order of their codes."""
        state = self.registry_["field_registries"].get(key, {}).get("state_registry", {})
        return np.asarray(state.get("categorical_mapping", []))

    # module -----------------------------------------------------------------------------------

    def _covariates(self) -> Covariates:
        registries = self.registry_["field_registries"]
        stats = self.summary_stats
        cat_state = registries.get(REGISTRY_KEYS.CAT_COVS_KEY, {}).get("state_registry", {})
        return Covariates(
            n_batch=stats.get("n_batch", 1),
            n_condition=stats.get(f"n_{CONDITION_KEY}", 1),
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
        return [str(name) for name in names if str(name) != str(unlabeled)]

    def _check_sizes(self, n_components: int, gene_likelihood: GeneLikelihood) -> None:
        """Check what the model is asked for against the data it was given."""
        choice("gene_likelihood", gene_likelihood, get_args(GeneLikelihood))
        labels = self._known_labels()
        if n_components < max(1, len(labels)):
            raise ValueError(
                f"expected n_components of at least {max(1, len(labels))} (one for every label), "
                f"found {n_components}"
            )
        if self.adata is not None:
            check_n_components(n_components, self.adata.n_obs)
            if self.minified_data_type is None:
                self._check_matrix(gene_likelihood)
        free = range(1, n_components - len(labels) + 1)
        self.cluster_names_ = (
            labels + [f"novel_{i}" for i in free] if labels else [str(i - 1) for i in free]
        )

    def _check_matrix(self, gene_likelihood: GeneLikelihood) -> None:
        layer = self.registry_["setup_args"].get("layer")
        matrix = get_matrix(self.adata, layer)
        check_matrix(
            matrix,
            counts=gene_likelihood in COUNT_LIKELIHOODS,
            obs_names=self.adata.obs_names,
            var_names=self.adata.var_names,
            what="X" if layer is None else layer,
        )

    def _build_module(
        self,
        prior: LatentPrior,
        covariates: Covariates,
        *,
        n_hidden: int,
        n_layers: int,
        dropout_rate: float,
        input_dropout: float,
        norm: Norm,
        gene_likelihood: GeneLikelihood,
        conditioning: Conditioning,
        label_weight: float,
    ) -> MixtureVAE:
        """Put encoder, decoder and likelihood below a prior."""
        n_genes, n_covariates = self.summary_stats.n_vars, len(covariates)
        encode_covariates = conditioning != "decoder" and n_covariates > 0
        use_size_factor = self.registry_["setup_args"].get("size_factor_key") is not None
        likelihood: Likelihood
        if gene_likelihood in COUNT_LIKELIHOODS:
            likelihood = COUNT_LIKELIHOODS[gene_likelihood](
                n_hidden, n_genes, shares=not use_size_factor
            )
        else:
            likelihood = OTHER_LIKELIHOODS[gene_likelihood](n_hidden, n_genes)
        hidden: dict[str, Any] = {"n_hidden": n_hidden, "n_layers": n_layers, "norm": norm}
        module = self._module_cls(
            encoder=HiddenLayers(
                n_genes, n_covariates * encode_covariates, dropout=dropout_rate, **hidden
            ),
            z_posterior=GaussianArrow(n_hidden, prior.n_latent),
            decoder=HiddenLayers(prior.n_latent, n_covariates, dropout=0.0, **hidden),
            likelihood=likelihood,
            prior=prior,
            covariates=covariates,
            gene_likelihood=gene_likelihood,
            encode_covariates=encode_covariates,
            use_size_factor=use_size_factor,
            input_dropout=input_dropout,
            n_labels=len(self._known_labels()),
            label_weight=label_weight,
        )
        module.minified_data_type = self.minified_data_type
        return module

    # training ---------------------------------------------------------------------------------

    def train(
        self,
        max_epochs: int | None = None,
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        *,
        train_size: float | None = None,
        validation_size: float | None = None,
        batch_size: int = 128,
        early_stopping: bool = True,
        pretrain_fraction: float = 0.6,
        warmup_fraction: float = 0.3,
        plan_kwargs: dict[str, Any] | None = None,
        callbacks: Sequence[Any] = (),
        datamodule: Any = None,
        **kwargs,
    ) -> None:
        """Train the model; with a GPU if there is one.

        First under N(0, I), then the components are started from the latent space by k-means and
        everything trains jointly. Training a trained model again goes on jointly. The weights
        with the best held-out ELBO are put back at the end.

        Parameters
        ----------
        max_epochs
            Length of the run; by default from the number of cells
            (:func:`mixvi.train.default_epochs`).
        accelerator, devices
            As in Lightning: ``"auto"``, ``"cpu"``, ``"gpu"``, …
        train_size, validation_size
            Shares of the cells; by default 90 % are trained on.
        batch_size
            Cells per step.
        early_stopping
            Stop when the held-out ELBO has not improved for a tenth of the run, and keep the best
            weights. Without held-out cells there is nothing to stop by.
        pretrain_fraction
            Share of the run before the components are started. Too little: they start in noise;
            longer than needed does not help.
        warmup_fraction
            Share of the run over which the weight of the divergences grows from 0 to 1.
        plan_kwargs
            For :class:`mixvi.train.MixturePlan`, for example ``{"lr": 1e-3}``.
        callbacks
            Further Lightning callbacks.
        datamodule
            A Lightning data module, for a model that was made from a registry.
        **kwargs
            For scvi-tools' ``train`` and trainer.

        Raises
        ------
        ValueError
            If a fraction is out of range or ``adata`` is minified.
        FloatingPointError
            If the loss is not finite.
        """
        if self.minified_data_type is not None:
            raise ValueError(
                "expected an AnnData with counts, found a minified one; train before minifying"
            )
        n_obs = self.adata.n_obs if datamodule is None else getattr(datamodule, "n_obs", None)
        if max_epochs is None:
            if n_obs is None:
                raise ValueError(
                    "expected max_epochs or a datamodule with n_obs, found neither; pass max_epochs"
                )
            max_epochs = default_epochs(n_obs, batch_size)
        if self.is_trained:
            pretrain_fraction = warmup_fraction = 0.0
        schedule = Schedule.from_fractions(max_epochs, pretrain_fraction, warmup_fraction)
        joint_from = schedule.pretrain_epochs
        callbacks = list(callbacks)
        if not self.is_trained:
            callbacks.append(StartComponents(joint_from))
        if early_stopping:
            callbacks.append(KeepBest(from_epoch=max(joint_from, round(schedule.warmup_epochs))))
            kwargs.setdefault("early_stopping_warmup_epochs", joint_from)
            kwargs.setdefault("early_stopping_patience", max(10, round(0.1 * max_epochs)))
        kwargs.setdefault("log_every_n_steps", 1)  # the plan logs by epoch; short runs are fine
        if datamodule is not None:
            kwargs["datamodule"] = datamodule
        self.module.train()  # a trained model was left in evaluation mode
        super().train(
            max_epochs=max_epochs,
            accelerator=accelerator,
            devices=devices,
            train_size=train_size,
            validation_size=validation_size,
            batch_size=batch_size,
            early_stopping=early_stopping,
            plan_kwargs={"schedule": schedule, **(plan_kwargs or {})},
            callbacks=callbacks,
            **kwargs,
        )

    # description ------------------------------------------------------------------------------

    def __repr__(self) -> str:
        prior, module = self.module.prior, self.module
        parts = [
            f"n_components={prior.n_components}",
            f"n_latent={prior.n_latent}",
            f"n_style={prior.n_style}",
            module.gene_likelihood,
        ]
        if module.n_labels:
            parts.append(f"{module.n_labels} labels")
        if self.minified_data_type is not None:
            parts.append("minified")
        parts.append("trained" if self.is_trained else "untrained")
        return f"{type(self).__name__}({', '.join(parts)})"
