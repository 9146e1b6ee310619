"""Real-valued blobs with a class and a condition, both visible in every dimension."""

import anndata as ad
import numpy as np
import pandas as pd

from mixvi._numbers import check_at_least
from mixvi.datasets._names import named

_NOISE_SD = 0.5
_SHIFT = (1.2, 1.7)
_ATTEMPTS = 1000


def simulate_conditional(
    n_per_group: int = 350,
    *,
    n_classes: int = 5,
    n_conditions: int = 2,
    n_vars: int = 16,
    rng: int | np.random.Generator | None = None,
) -> ad.AnnData:
    r"""Class blobs in real space, each moved by the condition of the cell.

    .. math::
        x_i = \mu_{k_i} + \sum_{c \le c_i} s_c + \varepsilon_i, \qquad
        \mu_{kj} \sim U(0, 10), \quad s_{cj} \sim U(1.2, 1.7), \quad s_0 = 0, \quad
        \varepsilon_{ij} \sim N(0, 0.5^2)

    for cell i of class :math:`k_i` and condition :math:`c_i`, and dimension j, all independent.
    Condition 0 is the reference, and each further condition adds one more shift, so that no two
    conditions coincide; a shift is the same for all classes. A model that is told the condition
    should find the classes, and put the condition elsewhere.

    A class mean is drawn again for as long as some group (class and condition) of that class
    would have its center closer than :math:`2 \sqrt{n_\text{vars}}` to a group of an earlier
    class. In the default 16 dimensions that is a distance of 8, which is 16 standard deviations
    of the noise, while neighboring conditions are 5.8 apart on average (4.8 to 6.8). So classes
    are separable whatever the draw.

    Parameters
    ----------
    n_per_group
        Cells in each class under each condition.
    n_classes
        Classes :math:`k`.
    n_conditions
        Conditions :math:`c`; 1 gives plain blobs.
    n_vars
        Dimensions j. With few, many classes do not fit.
    rng
        Seed or generator; None draws anew every time.

    Returns
    -------
    AnnData
        ``X``
            Dense float32, ``n_classes * n_conditions * n_per_group`` cells in random order.
        ``obs["class"]``, ``obs["condition"]``
            Categorical, ``class_0`` … and ``condition_0`` ….
        ``uns["simulation"]``
            ``class_means`` (class × dimension), ``condition_shifts`` (condition × dimension,
            the sums over c above, so that row 0 is zero) and ``noise_sd``.

    Raises
    ------
    ValueError
        If a size is not a positive whole number, or if a class finds no place in 1,000 draws.
    """
    check_at_least(
        1, n_per_group=n_per_group, n_classes=n_classes, n_conditions=n_conditions, n_vars=n_vars
    )
    rng = np.random.default_rng(rng)
    steps = rng.uniform(*_SHIFT, size=(n_conditions, n_vars))
    steps[0] = 0.0
    shifts = np.cumsum(steps, axis=0)
    means = _class_means(n_classes, shifts, rng)

    n_groups = n_classes * n_conditions
    group = rng.permutation(np.repeat(np.arange(n_groups), n_per_group))
    label, condition = np.divmod(group, n_conditions)
    noise = rng.normal(scale=_NOISE_SD, size=(len(group), n_vars))
    return ad.AnnData(
        (means[label] + shifts[condition] + noise).astype(np.float32),
        obs=pd.DataFrame(
            {
                "class": named(label, "class", n_classes),
                "condition": named(condition, "condition", n_conditions),
            },
            index=[f"cell_{i}" for i in range(len(group))],
        ),
        var=pd.DataFrame(index=[f"dim_{j}" for j in range(n_vars)]),
        uns={
            "simulation": {
                "class_means": means,
                "condition_shifts": shifts,
                "noise_sd": _NOISE_SD,
            }
        },
    )


def _class_means(n_classes: int, shifts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one mean after the other, each far from the groups of all the earlier ones."""
    n_vars = shifts.shape[1]
    nearest = 2 * np.sqrt(n_vars)
    # Groups (k, c) and (l, d) are |μ_k − μ_l + s_c − s_d| apart: all the s_c − s_d that occur.
    between = (shifts[:, None] - shifts[None, :]).reshape(-1, n_vars)
    means = np.empty((n_classes, n_vars))
    for k in range(n_classes):
        for _ in range(_ATTEMPTS):
            means[k] = rng.uniform(0, 10, size=n_vars)
            apart = means[k] - means[:k, None] + between
            if np.linalg.norm(apart, axis=-1).min(initial=np.inf) >= nearest:
                break
        else:
            raise ValueError(
                f"expected {n_classes} classes with centers at least {nearest:.2g} apart in "
                f"{n_vars} dimensions, found room for {k} in {_ATTEMPTS} draws; "
                "raise `n_vars` or lower `n_classes` or `n_conditions`."
            )
    return means
