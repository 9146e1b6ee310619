"""CGMDVAE: conditional Gaussian-mixture Dirichlet VAE."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

import torch
from anndata import AnnData
from torch import nn

from mixvi._numbers import check_number
from mixvi.distributions import Components, GaussianArrow, LowRankStyle, NetworkStyle
from mixvi.distributions.components import Covariance
from mixvi.distributions.hidden import Norm
from mixvi.priors import (
    CollapsedDirichlet,
    DirichletMixture,
    GlobalDirichlet,
    MixtureWeights,
    NetworkDirichlet,
    UniformWeights,
)

from .base import Conditioning, GeneLikelihood, MixtureModel
from .labels import ClassWeights
from .options import check_network, choice
from .registration import ConditionEffect

__all__ = ["CGMDVAE"]

DirichletForm = Literal["collapsed", "network", "global"]
MANY_COMPONENTS = 50  # above, a network w → K·2D costs more than the rest of the prior


class CGMDVAE(MixtureModel):
    r"""Conditional Gaussian-mixture Dirichlet VAE :cite:p:`kolb2023`.

    One model that clusters cells, gives them a latent space freed of batches, and generates
    expression under a condition:

    .. math::

       d \sim \mathrm{Dir}(\alpha), \; y \sim \mathrm{Cat}(d), \; w \sim p(w|c), \;
       z \sim N(\mu_y(w), \sigma_y^2(w)), \; x \sim p(x|z,c)

    y is the cluster, w a style that all clusters share, c the covariates. Of the latent variables
    only z and w are sampled in training; y is summed out and d integrated.

    Parameters
    ----------
    adata
        Cells registered with :meth:`setup_anndata`.
    registry
        Registry of a data module, for a model without ``adata``.
    n_components
        Number of clusters K (an upper bound with ``dirichlet="global"``), or ``"auto"``: 30
        components (fewer below 300 cells), which are merged into clusters after training
        (:meth:`merge_components`). With labels, ``"auto"`` are the components tied to them and as
        many free ones as there are labels, 5 at least.
    n_latent
        Dimensions of z.
    n_style
        Dimensions of w; 0 switches the style off and the components are fixed normals.
    n_hidden, n_layers
        Width and depth of encoder and decoder.
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
    dirichlet
        The distribution above y. ``"collapsed"``: every cell has a d, integrated out exactly.
        ``"network"``: the same with q(d | z) a network, as in the thesis. ``"global"``: one d for
        the data set, which learns the clusters' shares and lets superfluous ones die. ``None``:
        all clusters equally likely a priori (GMVAE).
    alpha
        Concentration of the Dirichlet. Large: like ``None``. Small: cells are pushed to one
        cluster (per-cell forms), clusters without cells die (global).
    conditioning
        Which arrows see c. ``"decoder"``: p(x | z, c) alone, so a cluster is the same state in
        every batch. ``"partial"``: the encoder too. ``"full"``: p(z | w, y, c) and q(y | z, c) too;
        for conditions that one wants to model, not for batches.
    style_prior
        ``"standard"``: p(w) = N(0, I), the style does not tell conditions apart. ``"learned"``:
        p(w | c) is learned, the style separates them.
    covariance
        ``"tied"``: the components share one set of variances (a style may shift them), as the
        mixture they are started from, so that none wins cells by being wide. ``"diag"``: every
        component has its own.
    assignment
        q(y | z) by ``"bayes"``' rule from the components, or by a ``"network"`` of its own, as in
        the thesis.
    condition_effect
        Where the effect of ``condition_key`` is: among c (``"decoder"``), so that z and the
        clusters are free of it as far as they can; or in z (``"latent"``), which no arrow is told
        the condition of. Then clusters may split by condition, and :meth:`predict_counterfactual`
        has the whole effect to move in z.
    label_weight
        Weight of the labels' cross-entropy beside the ELBO, if labels are registered. Near 1 known
        labels may not be followed; beyond 20 types that lie close together are squeezed.
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
    component_names_
        Name of every component: those tied to a label have its name (``"T_1"``, ``"T_2"`` where it
        has several), the free ones are ``novel_1``, …; numbers where there are no labels.
    cluster_names_, cluster_of_component_
        Names of the clusters, and the position of every component's cluster among them. Clusters
        are the labels and the free components; without labels the components, or numbered by
        falling size where components were merged.
    style_use_
        Variance over the training cells of every dimension of the mean of q(w | x); a dimension
        is used above .01 :cite:p:`burda2016`. ``None`` before training.

    Raises
    ------
    ValueError
        If an option is unknown, there are fewer components than labels, or the
        data do not suit ``gene_likelihood``.

    Examples
    --------
    >>> import mixvi
    >>> adata = mixvi.datasets.pbmc()
    >>> mixvi.model.CGMDVAE.setup_anndata(adata)
    >>> model = mixvi.model.CGMDVAE(adata, n_components=10)
    >>> model.train()  # doctest: +SKIP
    >>> model.annotate()  # doctest: +SKIP
    """

    _name: ClassVar[str] = "cgmdvae"
    _LATENT_QZM_KEY = "cgmdvae_latent_qzm"
    _LATENT_QZV_KEY = "cgmdvae_latent_qzv"

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        n_components: int | Literal["auto"] = "auto",
        n_latent: int = 10,
        n_style: int = 4,
        n_hidden: int = 128,
        n_layers: int = 1,
        dropout_rate: float = 0.1,
        input_dropout: float | None = None,
        norm: Norm = "batch",
        gene_likelihood: GeneLikelihood = "nb",
        dirichlet: DirichletForm | None = "collapsed",
        alpha: float = 1.0,
        conditioning: Conditioning = "decoder",
        style_prior: Literal["standard", "learned"] = "standard",
        covariance: Covariance = "tied",
        assignment: Literal["bayes", "network"] = "bayes",
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
            n_style=n_style,
            dropout_rate=dropout_rate,
            input_dropout=input_dropout,
            label_weight=label_weight,
            independence_weight=independence_weight,
        )
        choice("conditioning", conditioning, get_args(Conditioning))
        choice("style_prior", style_prior, ("standard", "learned"))
        choice("norm", norm, get_args(Norm))
        choice("covariance", covariance, get_args(Covariance))
        choice("assignment", assignment, ("bayes", "network"))
        check_number("alpha", alpha, open_low=True)
        covariates = self._covariates(condition_effect)
        n_seen = len(covariates) if conditioning == "full" else 0
        if style_prior == "learned" and not (n_style and len(covariates)):
            raise ValueError(
                "expected a style and covariates for style_prior='learned', found "
                f"n_style={n_style} and {len(covariates)} covariate columns; set condition_key or "
                "batch_key in setup_anndata"
            )
        style = None
        if n_style + n_seen:
            style_cls = NetworkStyle if n_components <= MANY_COMPONENTS else LowRankStyle
            style = style_cls(n_style + n_seen, n_components, n_latent)
        classifier = None
        if assignment == "network":
            classifier = nn.Sequential(
                nn.Linear(n_latent + n_seen, n_hidden),
                nn.ReLU(),
                nn.Linear(n_hidden, n_components),
            )
        prior = DirichletMixture(
            Components(n_components, n_latent, style, covariance=covariance),
            _mixture_weights(dirichlet, n_components, alpha, n_latent),
            style_posterior=_at_standard(GaussianArrow(n_hidden, n_style)) if n_style else None,
            style_prior=(
                _separated(GaussianArrow(len(covariates), n_style))
                if style_prior == "learned"
                else None
            ),
            classifier=classifier,
            conditioned=n_seen > 0,
            components_per_label=components_per_label,
        )
        self.module = self._build_module(
            prior,
            covariates,
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
        )
        self._set_class_weights(class_weights)
        self._module_kwargs: dict[str, Any] = {}
        self._model_summary_string = repr(self)
        self.init_params_ = self._get_init_params(locals())


@torch.no_grad()
def _at_standard(arrow: GaussianArrow) -> GaussianArrow:
    """Start at N(0, I) whatever the input: a style that nothing asks for stays silent."""
    for parameter in arrow.parameters():
        nn.init.zeros_(parameter)
    return arrow


@torch.no_grad()
def _separated(arrow: GaussianArrow, distance: float = 4.0) -> GaussianArrow:
    """Start p(w | c) with unit variance and the categories well apart.

    The objective is indifferent to where they lie, as long as q(w | x) can tell them: together
    they would stay together.
    """
    nn.init.orthogonal_(_at_standard(arrow).loc.weight, gain=distance / 2**0.5)
    return arrow


def _mixture_weights(
    form: DirichletForm | None, n_components: int, alpha: float, n_latent: int
) -> MixtureWeights:
    """The form of the Dirichlet by its name."""
    match form:
        case None:
            return UniformWeights(n_components)
        case "collapsed":
            return CollapsedDirichlet(n_components, alpha)
        case "network":
            return NetworkDirichlet(n_components, alpha, n_latent)
        case "global":
            return GlobalDirichlet(n_components, alpha)
    raise ValueError(f"expected dirichlet 'collapsed', 'network', 'global' or None, found {form!r}")
