"""Simulated cells with counts: components in a latent space, batches, conditions, depth."""

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.spatial.distance import pdist
from scipy.special import softmax

from mixvi._numbers import check_at_least, check_number
from mixvi.datasets._names import named

# Standard deviation, over genes, of the log frequency: in the baseline, and along a latent
# vector of length sqrt(n_latent), which is the typical one within a component.
_BASELINE_SD = 1.0
_LOADING_SD = 0.3
_DEPTH_SD = 0.3


def simulate(
    n_obs: int = 2000,
    n_vars: int = 500,
    *,
    n_components: int = 5,
    n_batches: int = 1,
    n_conditions: int = 1,
    n_latent: int = 10,
    separation: float = 6.0,
    imbalance: float = 1.0,
    batch_effect: float = 0.3,
    condition_effect: float = 0.3,
    dropout: float = 0.0,
    depth: float = 1000.0,
    dispersion: float = 0.1,
    rng: int | np.random.Generator | None = None,
) -> ad.AnnData:
    r"""Negative binomial counts of cells from a Gaussian mixture, with known truth.

    For cell i of component :math:`k_i`, batch :math:`b_i` and condition :math:`c_i`, and gene g:

    .. math::
        z_i &\sim N(m_{k_i}, I) \\
        \rho_i &= \operatorname{softmax}_g\left(a_g + z_i^\top W_g + \beta_{b_i g}
                  + \gamma_{c_i k_i g}\right) \\
        l_i &= \text{depth} \cdot e^{0.3 u_i - 0.3^2 / 2}, \quad u_i \sim N(0, 1) \\
        x_{ig} &\sim \operatorname{NB}(\mu = l_i \rho_{ig},\
                  \operatorname{Var} = \mu + \text{dispersion} \cdot \mu^2), \quad
                  \text{then set to } 0 \text{ with probability dropout}

    with :math:`a_g \sim N(0, 1)` and :math:`W_{dg} \sim N(0, 0.3^2 / n_\text{latent})`. The
    component means m are normal draws, scaled so that the two nearest are ``separation`` apart.
    Component, batch and condition of a cell are independent of each other.

    Parameters
    ----------
    n_obs
        Cells; at least ``n_components``, ``n_batches`` and ``n_conditions``.
    n_vars
        Genes, at least 2. With more genes the latent position of a cell is better determined.
    n_components
        Components of the mixture, that is true clusters.
    n_batches, n_conditions
        Number of batches and conditions, all of equal size (up to one cell).
    n_latent
        Dimensions of z.
    separation
        Distance of the two nearest component means, in standard deviations within a component.
        0: no clusters at all; 2: they overlap; 6 and above: hardly a cell in between.
    imbalance
        Size of the largest component over that of the smallest, at least 1. Sizes fall
        geometrically: :math:`\pi_k \propto \text{imbalance}^{-k/(K-1)}`.
    batch_effect
        Standard deviation, over genes, of the log fold changes :math:`\beta` of a batch, the
        same in all components. They are centered over batches, so one batch has none.
    condition_effect
        Standard deviation, over genes, of the log fold changes :math:`\gamma` between
        ``condition_0``, which has none, and another condition. Half of the variance is shared by
        all components, half is specific to each.
    dropout
        Probability in [0, 1) that an entry is lost, whatever its value (zero inflation).
    depth
        Expected total count of a cell before dropout; cells vary by a factor of about
        :math:`e^{0.3}`.
    dispersion
        Overdispersion of the counts: 0 is Poisson, 0.1 mild, 1 and above very noisy. It is
        :math:`1/\theta` of the negative binomial with inverse dispersion :math:`\theta`.
    rng
        Seed or generator; None draws anew every time.

    Returns
    -------
    AnnData
        ``X``
            Counts, CSR float32. Every cell and every gene has at least one: an empty cell gets
            one count, of a gene drawn by the cell's frequencies :math:`\rho_i`, then an empty
            gene gets one, in a cell drawn in proportion to its :math:`\mu_{ig}`.
        ``obs["component"]``, ``obs["batch"]``, ``obs["condition"]``
            Categorical, ``component_0`` …, ``batch_0`` …, ``condition_0`` …; none is empty.
            Component sizes are the weights times ``n_obs``, rounded, and at least 1.
        ``obsm["latent"]``
            z, cells × ``n_latent``, float32.
        ``uns["simulation"]``
            The arguments (without ``rng``), the ``weights`` of the components and ``n_forced``,
            how many counts were put into empty cells and genes.

    Raises
    ------
    ValueError
        If an argument is out of range; the message names it.

    Notes
    -----
    The frequencies are computed as one dense array: cells × genes × 8 bytes, a few times over.
    """
    check_at_least(1, n_components=n_components, n_batches=n_batches, n_conditions=n_conditions)
    check_at_least(max(n_components, n_batches, n_conditions), n_obs=n_obs)
    check_at_least(2, n_vars=n_vars)
    check_at_least(1, n_latent=n_latent)
    check_number("separation", separation)
    check_number("imbalance", imbalance, low=1.0)
    check_number("batch_effect", batch_effect)
    check_number("condition_effect", condition_effect)
    check_number("dropout", dropout, high=1.0)
    check_number("depth", depth, open_low=True)
    check_number("dispersion", dispersion)
    rng = np.random.default_rng(rng)

    weights = imbalance ** (-np.arange(n_components) / max(n_components - 1, 1))
    weights /= weights.sum()
    component = rng.permutation(np.repeat(np.arange(n_components), _sizes(weights, n_obs)))
    batch = rng.permutation(np.arange(n_obs) % n_batches)
    condition = rng.permutation(np.arange(n_obs) % n_conditions)

    means = _component_means(n_components, n_latent, separation, rng)
    latent = means[component] + rng.normal(size=(n_obs, n_latent))
    logits = rng.normal(scale=_BASELINE_SD, size=n_vars) + latent @ rng.normal(
        scale=_LOADING_SD / np.sqrt(n_latent), size=(n_latent, n_vars)
    )
    logits += _batch_effects(n_batches, n_vars, batch_effect, rng)[batch]
    logits += _condition_effects(n_conditions, n_components, n_vars, condition_effect, rng)[
        condition, component
    ]
    size = depth * np.exp(_DEPTH_SD * rng.normal(size=(n_obs, 1)) - _DEPTH_SD**2 / 2)
    mean = size * softmax(logits, axis=1)

    # NB is a Poisson whose rate is gamma distributed around the mean.
    rate = rng.gamma(1 / dispersion, dispersion * mean) if dispersion > 0 else mean
    counts = rng.poisson(rate)
    counts[rng.random(counts.shape) < dropout] = 0
    n_forced = _fill_empty(counts, mean, rng)

    return ad.AnnData(
        sparse.csr_matrix(counts, dtype=np.float32),
        obs=pd.DataFrame(
            {
                "component": named(component, "component", n_components),
                "batch": named(batch, "batch", n_batches),
                "condition": named(condition, "condition", n_conditions),
            },
            index=[f"cell_{i}" for i in range(n_obs)],
        ),
        var=pd.DataFrame(index=[f"gene_{g}" for g in range(n_vars)]),
        obsm={"latent": latent.astype(np.float32)},
        uns={
            "simulation": {
                "n_obs": n_obs,
                "n_vars": n_vars,
                "n_components": n_components,
                "n_batches": n_batches,
                "n_conditions": n_conditions,
                "n_latent": n_latent,
                "separation": separation,
                "imbalance": imbalance,
                "batch_effect": batch_effect,
                "condition_effect": condition_effect,
                "dropout": dropout,
                "depth": depth,
                "dispersion": dispersion,
                "weights": weights,
                "n_forced": n_forced,
            }
        },
    )


def _sizes(weights: np.ndarray, n_obs: int) -> np.ndarray:
    """Whole numbers that add up to n_obs: n_obs · weights, rounded, and at least 1."""
    expected = weights * n_obs
    sizes = np.floor(expected).astype(int)
    largest_remainders = np.argsort(sizes - expected, kind="stable")
    sizes[largest_remainders[: n_obs - sizes.sum()]] += 1
    for k in np.flatnonzero(sizes == 0):
        sizes[np.argmax(sizes)] -= 1
        sizes[k] = 1
    return sizes


def _component_means(
    n_components: int, n_latent: int, separation: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw normal means around 0, scaled so that the two nearest are ``separation`` apart."""
    means = rng.normal(size=(n_components, n_latent))
    if n_components == 1:
        return np.zeros_like(means)
    means -= means.mean(axis=0)
    return means * (separation / pdist(means).min())


def _batch_effects(
    n_batches: int, n_vars: int, scale: float, rng: np.random.Generator
) -> np.ndarray:
    """Log fold changes, batch × gene, with mean 0 over batches."""
    effects = rng.normal(scale=scale, size=(n_batches, n_vars))
    return effects - effects.mean(axis=0)


def _condition_effects(
    n_conditions: int, n_components: int, n_vars: int, scale: float, rng: np.random.Generator
) -> np.ndarray:
    """Log fold changes, condition × component × gene: half shared, half specific."""
    shared = rng.normal(size=(n_conditions, 1, n_vars))
    specific = rng.normal(size=(n_conditions, n_components, n_vars))
    effects = scale * (shared + specific) / np.sqrt(2)
    effects[0] = 0.0
    return effects


def _fill_empty(counts: np.ndarray, mean: np.ndarray, rng: np.random.Generator) -> int:
    """Put one count into every empty cell, then every empty gene; return how many."""
    # Where all frequencies underflow to 0, this makes the draw uniform.
    weights = mean + np.finfo(mean.dtype).tiny
    cells = np.flatnonzero(counts.sum(axis=1) == 0)
    for i in cells:
        counts[i, rng.choice(counts.shape[1], p=weights[i] / weights[i].sum())] = 1
    genes = np.flatnonzero(counts.sum(axis=0) == 0)
    for g in genes:
        counts[rng.choice(counts.shape[0], p=weights[:, g] / weights[:, g].sum()), g] = 1
    return len(cells) + len(genes)
