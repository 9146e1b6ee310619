"""The protocol on simulated cells; the data themselves are not needed."""

import numpy as np
import pytest
import scanpy as sc
from benchmarks.peers_perturbation import PEERS
from benchmarks.table_perturbation import perturbation_page
from scipy import sparse

from benchmarks import perturbation
from mixvi import datasets


@pytest.fixture(scope="module")
def kang():
    """Three types, all of which respond by the same ten genes."""
    adata = datasets.simulate(300, 150, n_components=3, depth=2000, rng=0)
    rng = np.random.default_rng(0)
    adata.obs["cell_type"] = adata.obs["component"].astype(str).astype("category")
    stimulated = rng.random(300) < 0.5
    names = np.where(stimulated, perturbation.STIMULATED, perturbation.CONTROL)
    adata.obs["condition"] = names
    adata.obs["condition"] = adata.obs["condition"].astype("category")
    x = adata.X.toarray()
    x[np.ix_(stimulated, range(10))] += rng.poisson(40, (stimulated.sum(), 10))
    adata.X = sparse.csr_matrix(x)
    adata.layers["lognorm"] = adata.X.copy()
    sc.pp.normalize_total(adata, target_sum=1e4, layer="lognorm")
    sc.pp.log1p(adata, layer="lognorm")
    return adata


@pytest.mark.slow
def test_no_method_sees_the_held_out_cells(kang):
    task = perturbation.make_task(kang, "component_1")
    left = task.train.obs.groupby(["cell_type", "condition"], observed=False).size()
    assert left["component_1", perturbation.STIMULATED] == 0
    assert (
        left.sum()
        == 300
        - ((kang.obs["cell_type"] == "component_1") & (kang.obs["condition"] == "stimulated")).sum()
    )
    assert set(range(10)) <= set(task.top)


def test_peers_in_their_order(kang):
    """A response that all types share is found by arithmetic, not by predicting no change."""
    task = perturbation.make_task(kang, "component_0")
    found = {
        name: perturbation.score(task, peer(task.train, "component_0", 0))["delta_r2"]
        for name, peer in PEERS.items()
    }
    assert found["identity"] <= 0
    assert min(value for name, value in found.items() if name != "identity") > 0.5


def test_page():
    rows = [
        {"method": method, "held_out": held_out, "seed": 0}
        | {"r2_pearson": 0.9, "r2_pearson_top": 0.8, "delta_r2": 0.5, "delta_r2_top": 0.25}
        for method in ("identity", "cgmdvae")
        for held_out in ("B cells", "CD14+ Monocytes")
    ]
    page = perturbation_page(rows)
    assert "0.900 / 0.800" in page
    assert page.count("| **CGMDVAE**, shift, `condition_effect") == 2
