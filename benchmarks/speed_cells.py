"""Many cells for the speed benchmark, what they take of memory, and that the likelihoods agree."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import torch
from scipy import sparse
from scvi.distributions import NegativeBinomial

N_GENES, DENSITY = 2_000, 0.08
THINNED = 0.9  # share of the counts that a copy of a cell keeps


def many_cells(source: ad.AnnData | None, n_cells: int, seed: int = 0) -> ad.AnnData:
    """As many cells as wanted: copies of real ones that have lost a tenth of their counts.

    Parameters
    ----------
    source
        Counts in ``X``; ``None`` for 2,000 genes of which each cell has 8 %.
    n_cells
        Number of cells.
    seed
        Seed.
    """
    rng = np.random.default_rng(seed)
    if source is None:
        X = sparse.random(
            min(n_cells, 10_000),
            N_GENES,
            DENSITY,
            format="csr",
            rng=rng,
            data_rvs=lambda n: 1 + rng.poisson(rng.gamma(0.5, 2, n)),
        )
    else:
        X = sparse.csr_matrix(source.X)
    X = X[np.sort(rng.integers(X.shape[0], size=n_cells))].astype(np.float32)
    chunks = [slice(i, i + 2**24) for i in range(0, X.nnz, 2**24)]
    for chunk in chunks:
        X.data[chunk] = rng.binomial(X.data[chunk].astype(np.int64), THINNED)
    X.eliminate_zeros()
    X = X[np.asarray(X.sum(1)).ravel() > 0]
    names = pd.Index([f"cell{i}" for i in range(X.shape[0])])
    return ad.AnnData(X, obs=pd.DataFrame(index=names))


def check_parity(adata: ad.AnnData, n_cells: int = 64) -> None:
    """Raise if our negative binomial or its gradient is not that of scvi-tools.

    Raises
    ------
    AssertionError
        If log-likelihoods differ by 1e-5 or gradients by 1e-4, relative.
    """
    from mixvi.distributions import NegativeBinomial as Ours

    torch.manual_seed(0)
    x = torch.from_numpy(adata.X[:n_cells].toarray())
    log_mu = torch.randn(x.shape, requires_grad=True)
    log_theta = torch.randn(x.shape[1], requires_grad=True)
    slow = NegativeBinomial(mu=log_mu.double().exp(), theta=log_theta.double().exp())
    expected = slow.log_prob(x.double()).sum(-1)
    found = Ours(log_mu.exp(), log_theta.exp()).cell_log_prob(x.to_sparse_csr())
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    leaves = [log_mu, log_theta]
    for one, other in zip(
        torch.autograd.grad(found.sum(), leaves),
        torch.autograd.grad(expected.sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def peak_memory(name: str, source: ad.AnnData, n_cells: int) -> tuple[float, int]:
    """Largest memory of one epoch of training, in sizes of the matrix, and that size in bytes.

    Measured in a process of its own, from after a small run, by Linux's own accounts: reading the
    cells from a file counts.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        many_cells(source, n_cells).write_h5ad(path)
        command = [sys.executable, "-m", "benchmarks.speed_cells", name, str(path)]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(found.splitlines()[-1])
    return figures["peak"] / figures["matrix"], figures["matrix"]


def _measure(name: str, path: str) -> dict[str, int]:
    from benchmarks.speed import trainer

    model_like = many_cells(None, 200)  # imports and compiles what a run imports and compiles
    trainer(name, model_like, 128, "cpu")(1)
    before = _bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the largest so far is forgotten
    adata = ad.read_h5ad(path)
    X = adata.X
    trainer(name, adata, 1024, "cpu")(1)
    matrix = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    return {"peak": _bytes("VmHWM") - before, "matrix": matrix}


def _bytes(name: str) -> int:
    """Memory of this process: resident now (VmRSS) or at most (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(name + ":"))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure(*sys.argv[1:])) + "\n")
