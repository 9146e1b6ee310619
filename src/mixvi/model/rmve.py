"""RMVE: repulsive mixture variational embedding."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

from anndata import AnnData
from torch import nn

from mixvi._numbers import check_number
from mixvi.distributions import Components
from mixvi.distributions.components import Covariance
from mixvi.distributions.hidden import Norm
from mixvi.priors import GaussianMixture, LatentPrior, StandardPrior
from mixvi.priors import repulsion as repulsion_by_name

from .base import GeneLikelihood, MixtureModel
from .labels import ClassWeights
from .options import check_network, choice
from .registration import ConditionEffect

__all__ = ["RMVE"]

RepulsionForm = Literal["mmd", "means", "hellinger", "dpp"]


class RMVE(MixtureModel):
    r"""Repulsive mixture variational embedding :cite:p:`solari`.

    A variational autoencoder whose latent space is a mixture of normals that can be kept apart:

    .. math::

       y \sim \mathrm{Cat}(\pi), \; z \sim N(\mu_y, \sigma_y^2), \; x \sim p(x|z,c), \quad
       p(\mu, \sigma) \propto h(\mu, \sigma)^\lambda

    y is the cluster, summed out; the components follow the moments of their cells, and h is a
    repulsive prior. Without repulsion it is VaDE :cite:p:`jiang2017`; with one unit component a
    plain VAE, conditional if there are covariates; without hidden layers and with a normal
    likelihood a linear one. :doc:`/user_guide/family` has them all.

    Parameters
    ----------
    adata
        Cells registered with :meth:`setup_anndata`.
    registry
        Registry of a data module, for a model without ``adata``.
    n_components
        Number of clusters K, or ``"auto"``: 30 components (fewer below 300 cells), which are
        merged into clusters after training (:meth:`merge_components`). With labels, ``"auto"`` are
        the components tied to them and as many free ones as there are labels, 5 at least.
    n_latent
        Dimensions of z.
    n_hidden, n_layers
        Width and depth of encoder and decoder; 0 layers make both linear.
    dropout_rate
        Share of the encoder's hidden units dropped in training.
    input_dropout
        Share of a cell's genes hidden from the encoder in training; by default .2, and 0 for
        panels of fewer than 500 genes, which cannot stand in for each other. Higher: a coarser
        latent space that rests on many genes.
    norm
        Normalization of hidden layers: ``"batch"`` as in scVI, ``"layer"``, ``"none"``.
    gene_likelihood
        ``"nb"``, ``"zinb"``, ``"poisson"`` for raw counts; ``"normal"`` for real data,
        ``"bernoulli"`` for data in [0, 1].
    encoder
        ``"shared"``: one q(z | x), components compete for it. ``"y_conditional"``: a q(z | x, y)
        for every component and q(y | x) from the encoder, as in the draft; K decoder passes per
        training step, and components compete less.
    covariance
        ``"tied"``: the components share one set of variances, so that none wins cells by being
        wide. ``"diag"``: every component has its own; ``"spherical"``: one number each;
        ``"unit"``: σ² = 1, as in the draft.
    assignment
        q(y | x) by ``"bayes"``' rule from the components (exact), or learned by a ``"network"``.
        Not used with ``encoder="y_conditional"``, which always learns it.
    repulsion
        What keeps components apart: ``"mmd"``, ``"means"``, ``"hellinger"``, ``"dpp"``
        (:mod:`mixvi.priors.repulsion`) or ``None``.
    repulsion_strength
        λ in nats per cell. Larger: components further apart, sharper assignments. Below about 1/n
        for n cells it is a proper prior, and does nothing.
    conditioning
        Which arrows see the covariates. ``"decoder"``: p(x | z, c) alone, so a cluster is the same
        state in every batch. ``"partial"``: the encoder too.
    condition_effect
        Where the effect of ``condition_key`` is: among c (``"decoder"``), so that z and the
        clusters are free of it as far as they can; or in z (``"latent"``), which no arrow is told
        the condition of. Then clusters may split by condition, and :meth:`predict_counterfactual`
        has the whole effect to move in z.
    label_weight
        α, the weight of −log q(y | x) at the label beside the ELBO, if labels are registered. Near
        1 known labels may not be followed; beyond 20 types that lie close together are squeezed.
    independence_weight
        Weight of a penalty on what z tells of the batch within components
        (:class:`mixvi.module.Independence`). 0: the decoder alone takes the batch out of z, which
        leaves some in. From 20 to 200 batches of the same types mix better and better; where types
        differ between batches, look whether they still come apart.
    class_weights
        What a label counts in that term. ``None``: every labeled cell alike. ``"balanced"``: every
        label alike, so that a cell of a rare one counts more (the mean over labeled cells is 1).
        Or a dict of label and weight, 1 where a label is missing.
    components_per_label
        Components tied to every label. More describe types that are no single cloud (states,
        subtypes without a name); the clusters still are the labels, their components are there
        with ``level="component"``.
    datamodule
        Not used; scvi-tools passes it when loading.
    extra_payload_autotune
        Whether training keeps z, batch and label of an epoch's cells. :mod:`scvi.autotune` sets
        it to score runs by scib-metrics; it takes a ``labels_key``.

    Attributes
    ----------
    component_names_, cluster_names_, cluster_of_component_
        As in :class:`CGMDVAE`.

    Raises
    ------
    ValueError
        If an option is unknown, there are fewer components than labels, or the
        data do not suit ``gene_likelihood``.

    Examples
    --------
    >>> import mixvi
    >>> adata = mixvi.datasets.pbmc()
    >>> mixvi.model.RMVE.setup_anndata(adata)
    >>> model = mixvi.model.RMVE(adata, n_components=10)
    >>> model.train()  # doctest: +SKIP
    >>> model.annotate()  # doctest: +SKIP
    """

    _name: ClassVar[str] = "rmve"
    _LATENT_QZM_KEY = "rmve_latent_qzm"
    _LATENT_QZV_KEY = "rmve_latent_qzv"

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        n_components: int | Literal["auto"] = "auto",
        n_latent: int = 10,
        n_hidden: int = 128,
        n_layers: int = 1,
        dropout_rate: float = 0.1,
        input_dropout: float | None = None,
        norm: Norm = "batch",
        gene_likelihood: GeneLikelihood = "nb",
        encoder: Literal["shared", "y_conditional"] = "shared",
        covariance: Covariance = "tied",
        assignment: Literal["bayes", "network"] = "bayes",
        repulsion: RepulsionForm | None = None,
        repulsion_strength: float = 1.0,
        conditioning: Literal["decoder", "partial"] = "decoder",
        condition_effect: ConditionEffect = "decoder",
        label_weight: float = 5.0,
        independence_weight: float = 0.0,
        class_weights: ClassWeights = None,
        components_per_label: int = 1,
        datamodule: Any = None,
        extra_payload_autotune: bool = False,
    ):
        super().__init__(adata, registry)
        n_components = self._check_sizes(n_components, gene_likelihood, components_per_label)
        check_network(
            n_latent=n_latent,
            n_hidden=n_hidden,
            n_layers=n_layers,
            dropout_rate=dropout_rate,
            input_dropout=input_dropout,
            label_weight=label_weight,
            independence_weight=independence_weight,
        )
        choice("encoder", encoder, ("shared", "y_conditional"))
        choice("covariance", covariance, get_args(Covariance))
        choice("assignment", assignment, ("bayes", "network"))
        choice("repulsion", repulsion, (*get_args(RepulsionForm), None))
        choice("conditioning", conditioning, ("decoder", "partial"))
        choice("norm", norm, get_args(Norm))
        check_number("repulsion_strength", repulsion_strength)
        prior: LatentPrior
        if n_components == 1 and covariance == "unit":
            prior = StandardPrior(n_latent)
        else:
            prior = GaussianMixture(
                Components(n_components, n_latent, covariance=covariance),
                classifier=(
                    nn.Sequential(
                        nn.Linear(n_latent, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_components)
                    )
                    if assignment == "network" and encoder == "shared"
                    else None
                ),
                repulsion=None if repulsion is None else repulsion_by_name(repulsion),
                strength=repulsion_strength,
                components_per_label=components_per_label,
            )
        self.module = self._build_module(
            prior,
            self._covariates(condition_effect),
            n_hidden=n_hidden,
            n_layers=n_layers,
            dropout_rate=dropout_rate,
            input_dropout=input_dropout,
            norm=norm,
            gene_likelihood=gene_likelihood,
            conditioning=conditioning,
            label_weight=label_weight,
            independence_weight=independence_weight,
            extra_payload_autotune=extra_payload_autotune,
            y_conditional=encoder == "y_conditional" and isinstance(prior, GaussianMixture),
        )
        self._set_class_weights(class_weights)
        self._module_kwargs: dict[str, Any] = {}
        self._model_summary_string = repr(self)
        self.init_params_ = self._get_init_params(locals())
