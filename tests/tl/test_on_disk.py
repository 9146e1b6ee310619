"""Cells that stay on the disk: the same clusters, and no matrix in memory."""

import json
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from mixvi import datasets, tl
from mixvi.tl.on_disk import genes_on_disk

QUICK = {"max_epochs": 3, "accelerator": "cpu", "enable_progress_bar": False}


@pytest.fixture
def cells():
    adata = datasets.simulate(300, 40, n_components=3, n_batches=2, rng=0)
    adata.X = sparse.csr_matrix(adata.X)
    adata.var["highly_variable"] = np.arange(40) % 4 > 0
    return adata


@pytest.mark.parametrize("layout", [sparse.csr_matrix, np.asarray])
def test_chosen_genes_are_copied(cells, tmp_path, layout, monkeypatch):
    monkeypatch.setattr("mixvi.tl.on_disk.CHUNK", 40 * 70)  # five parts
    cells.X = layout(cells.X.toarray())
    cells.write_h5ad(tmp_path / "all.h5ad")
    backed = ad.read_h5ad(tmp_path / "all.h5ad", backed="r")
    genes = cells.var["highly_variable"].to_numpy()
    part = genes_on_disk(backed, genes, tmp_path)
    assert part.isbacked
    expected = sparse.csr_matrix(cells.X)[:, genes]
    assert (expected != part.to_memory().X).nnz == 0
    assert part.obs.equals(cells.obs)
    assert list(part.var_names) == list(cells.var_names[genes])


def test_clusters_are_those_of_cells_in_memory(cells, tmp_path):
    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    for adata in (cells, backed):
        tl.rmve(adata, 3, batch_key="batch", train_kwargs=QUICK, rng=0)
    assert backed.obs["rmve"].equals(cells.obs["rmve"])
    np.testing.assert_allclose(backed.obsm["X_rmve"], cells.obsm["X_rmve"], atol=1e-4)


TESTS = Path(__file__).parents[1]
MEASURED = """
import json, sys, warnings
warnings.simplefilter("ignore")
import anndata as ad
from peak import Peak
from mixvi.model import RMVE

def train(adata):
    RMVE.setup_anndata(adata)
    model = RMVE(adata, n_components=3)
    model.train(1, "cpu", batch_size=512, enable_progress_bar=False)
    model.annotate()

# what any run on so many cells takes
train(ad.read_h5ad(sys.argv[1], backed="r")[:, :50].to_memory())
with Peak() as peak:
    adata = ad.read_h5ad(sys.argv[1], backed="r")
    train(adata)
print(json.dumps({"peak": peak.bytes, "cells": len(adata.obs["rmve"])}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's accounts")
def test_training_and_labels_take_less_than_the_matrix(tmp_path):
    rng = np.random.default_rng(0)
    n_cells, n_genes, n_each = 30_000, 2_000, 1_600  # 384 MB
    indices = np.concatenate([np.sort(rng.permutation(n_genes)[:n_each]) for _ in range(n_cells)])
    counts = 1 + rng.poisson(1.0, len(indices)).astype(np.float32)
    indptr = n_each * np.arange(n_cells + 1)
    X = sparse.csr_matrix((counts, indices.astype(np.int32), indptr), (n_cells, n_genes))
    ad.AnnData(X).write_h5ad(tmp_path / "cells.h5ad")
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "cells.h5ad")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=TESTS)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["cells"] == n_cells
    print("PEAK", found["peak"])
    assert found["peak"] < 0.75 * (X.data.nbytes + X.indices.nbytes), (
        f"{found['peak'] / 1e6:.0f} MB"
    )
