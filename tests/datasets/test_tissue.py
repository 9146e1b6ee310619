from itertools import pairwise

import numpy as np
import pytest

from mixvi.datasets import simulate_tissue
from mixvi.space import fit_places


def r2(cells):
    x = np.log1p(cells.X.toarray())
    return fit_places(x, cells.obsm["spatial"], cells.obs["section"]).r2


def test_cells_lie_in_an_arch_of_layers_in_every_section():
    cells = simulate_tissue(rng=0)
    assert cells.shape == (1200, 150)
    radius = np.linalg.norm(cells.obsm["spatial"], axis=1)
    assert 1 <= radius.min() < radius.max() <= 2
    assert cells.obsm["spatial"][:, 1].min() >= 0
    by_layer = [radius[cells.obs["layer"] == f"layer_{k}"] for k in range(4)]
    assert all(a.max() <= b.min() for a, b in pairwise(by_layer))
    assert cells.obs["section"].value_counts().to_list() == [300] * 4
    assert cells.X.sum(1).mean() == pytest.approx(300, rel=0.02)


@pytest.mark.law
def test_genes_tell_the_place_where_there_is_contrast_only():
    assert r2(simulate_tissue(600, 60, rng=0)) > 0.5
    assert r2(simulate_tissue(600, 60, contrast=0, rng=0)) < 0.02


def test_seeds_hold():
    a, b, c = (simulate_tissue(50, 20, rng=seed).X.toarray() for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


@pytest.mark.parametrize(
    "options", [{"n_obs": 3}, {"n_sections": 0}, {"contrast": -1.0}, {"depth": 0.0}]
)
def test_refuses(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        simulate_tissue(**options)
