"""Simulated sections of a tissue: counts whose genes have a place."""

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from mixvi._numbers import check_at_least, check_number
from mixvi.datasets._names import named

LAYERS = 4


def simulate_tissue(
    n_obs: int = 1200,
    n_vars: int = 150,
    *,
    n_sections: int = 4,
    contrast: float = 1.5,
    section_effect: float = 0.2,
    depth: float = 300.0,
    rng: int | np.random.Generator | None = None,
) -> ad.AnnData:
    r"""Counts of cells in sections of one tissue, an arch of four layers.

    Half of the genes have a place :math:`s_g` in the tissue around which they are expressed, the
    others are expressed everywhere. For cell i at place :math:`s_i` in section :math:`b_i`:

    .. math::
        \rho_i = \operatorname{softmax}_g\left(a_g + \text{contrast} \cdot
        e^{-\|s_i - s_g\|^2 / (2 \cdot 0.5^2)} + \beta_{b_i g}\right), \qquad
        x_{ig} \sim \operatorname{Poisson}(\text{depth} \cdot \rho_{ig})

    with :math:`a_g \sim N(0, 1)` and :math:`\beta_{bg} \sim N(0, \text{section_effect}^2)`.

    Parameters
    ----------
    n_obs, n_vars
        Cells and genes.
    n_sections
        Sections that cells are spread over evenly; each has all of the arch.
    contrast
        Height of a gene's peak over its floor, in log counts. 0: no gene has a place, and no map
        can be found; 1.5: a peak of 4.5 times the floor.
    section_effect
        Standard deviation, over genes, of what a section adds to the log counts.
    depth
        Expected counts of a cell.
    rng
        Seed or generator; None draws anew every time.

    Returns
    -------
    AnnData
        ``X`` (counts, CSR float32), ``obs["section"]``, ``obs["layer"]`` (``layer_0``, the inner
        one, …), ``obsm["spatial"]`` (mm; the arch is 2 mm high and 4 mm wide).

    Raises
    ------
    ValueError
        If an argument is out of range; the message names it.
    """
    check_at_least(1, n_sections=n_sections)
    check_at_least(max(n_sections, LAYERS), n_obs=n_obs)
    check_at_least(2, n_vars=n_vars)
    check_number("contrast", contrast)
    check_number("section_effect", section_effect)
    check_number("depth", depth, open_low=True)
    rng = np.random.default_rng(rng)

    places = _arch(n_obs, rng)
    peaks = _arch(n_vars, rng)
    distance = np.linalg.norm(places[:, None] - peaks, axis=-1)
    section = rng.permutation(np.arange(n_obs) % n_sections)
    logits = (
        rng.normal(size=n_vars)
        + rng.normal(scale=section_effect, size=(n_sections, n_vars))[section]
    )
    placed = np.arange(n_vars) % 2 == 0
    logits += contrast * placed * np.exp(-(distance**2) / (2 * 0.5**2))
    rates = np.exp(logits)
    counts = rng.poisson(depth * rates / rates.sum(1, keepdims=True))
    layer = np.floor((np.linalg.norm(places, axis=1) - 1) * LAYERS).astype(int)
    return ad.AnnData(
        sparse.csr_matrix(counts, dtype=np.float32),
        obs=pd.DataFrame(
            {
                "section": named(section, "section", n_sections),
                "layer": named(np.clip(layer, 0, LAYERS - 1), "layer", LAYERS),
            },
            index=[f"cell_{i}" for i in range(n_obs)],
        ),
        var=pd.DataFrame(index=[f"gene_{g}" for g in range(n_vars)]),
        obsm={"spatial": places},
    )


def _arch(n: int, rng: np.random.Generator) -> np.ndarray:
    """Points spread evenly over the upper half of a ring with radii 1 and 2, (n, 2)."""
    radius = np.sqrt(rng.uniform(1, 4, n))
    angle = rng.uniform(0, np.pi, n)
    return radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
