"""What is not needed any more is freed, and the same seed is the same run."""

import copy
import gc
import json
import multiprocessing
import pickle
import subprocess
import sys
import tracemalloc
import weakref
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scvi
import torch
from lightning.pytorch import Callback
from tests.trust.cells import QUICK, SMALL, cells

from mixvi.model import RMVE

pytestmark = pytest.mark.contract


def train(adata, **options):
    RMVE.setup_anndata(adata, batch_key="batch")
    model = RMVE(adata, n_components=3, **SMALL)
    model.train(**QUICK | options)
    return model


def test_cells_live_as_long_as_their_users():
    model = train(cells())
    query, other = cells(rng=1), cells(rng=2)
    model.predict(query)
    model.predict(other[:, ::-1].copy())
    references = [weakref.ref(thing) for thing in (query, model.adata, model)]
    del query
    gc.collect()
    assert [reference() is None for reference in references] == [True, False, False]
    model.predict(other)
    del model
    gc.collect()
    assert [reference() is None for reference in references] == [True, True, True]
    assert len(other.obs)  # the user's own


def test_a_manager_serves_every_model_of_its_cells():
    """One setup, several models, also after the first is gone."""
    adata = cells()
    RMVE.setup_anndata(adata, batch_key="batch")
    for n_components in (2, 3):
        model = RMVE(adata, n_components=n_components, **SMALL)
        model.train(**QUICK)
        model.predict(cells(rng=1))
        del model
        gc.collect()
    kept = RMVE(adata, **SMALL)
    for clone in (copy.deepcopy(adata), pickle.loads(pickle.dumps(adata)), adata.copy()):
        assert clone.shape == adata.shape
        assert not getattr(clone, "_mixvi_managers", None)
    with pytest.raises(ValueError, match="setup_anndata has seen"):
        RMVE(adata.copy())
    assert kept.adata is adata


class Cancel(Callback):
    """End the run in its second epoch, and remember what it had."""

    def __init__(self, error):
        self.error = error

    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            state = next(iter(trainer.optimizers[0].state.values()))["exp_avg"]
            self.references = [weakref.ref(thing) for thing in (trainer, pl_module, state)]
            raise self.error


def cancelled(error, accelerator="cpu"):
    """Whether everything of a run is gone that ended so, and of its model."""

    def run():
        cancel = Cancel(error)
        adata = cells()
        RMVE.setup_anndata(adata, batch_key="batch")
        model = RMVE(adata, n_components=3, **SMALL)
        with pytest.raises((SystemExit, error)):
            model.train(**QUICK | {"accelerator": accelerator}, callbacks=[cancel])
        assert not model.is_trained
        return [*cancel.references, weakref.ref(model.module.encoder)]

    references = run()
    gc.collect()
    return [reference() is None for reference in references]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_cancelled_run_frees_what_it_had(error):
    """Trainer, weights and the optimizer's state."""
    assert in_a_process_of_its_own(cancelled, error) == [True] * 4


def left_on_the_gpu(error):
    """Bytes that a cancelled run leaves allocated."""
    assert cancelled(error, "gpu") == [True] * 4
    return torch.cuda.memory_allocated()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_cancelled_run_frees_the_gpu(error):
    assert in_a_process_of_its_own(left_on_the_gpu, error) == 0


TESTS = Path(__file__).parents[1]
MEASURED = """
import json, warnings
warnings.simplefilter("ignore")
import anndata as ad
import numpy as np
from scipy import sparse
from peak import Peak
from mixvi.model import RMVE

def cells(n):
    X = sparse.csr_matrix(1 + np.random.default_rng(0).poisson(1.0, (1000, 8)).astype("float32"))
    return ad.AnnData(sparse.vstack([X] * (n // 1000), format="csr"))

adata = cells(1_000)
RMVE.setup_anndata(adata)
model = RMVE(adata, n_components=3, n_hidden=16)
model.train(1, "cpu", enable_progress_bar=False)
many = cells(1_000_000)
for accessor in (model.predict, model.get_novelty):
    accessor(many[:100_000].copy())  # what any call takes
    with Peak() as peak:
        output = accessor(many)
    print(json.dumps({"peak": peak.bytes, "cells": len(output)}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's accounts")
def test_a_million_cells_in_flat_memory():
    """Mini-batch by mini-batch: all there is to know of the cells would be some 270 MB."""
    command = [sys.executable, "-c", MEASURED]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=TESTS)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [each["cells"] for each in found] == [1_000_000, 1_000_000]
    for each in found:
        assert each["peak"] < 120e6, found


def in_a_process_of_its_own(function, *arguments):
    """What a function returns: pytest keeps what is logged, and tracebacks."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def fifty_cycles():
    """Memory after each of fifty models, and how many managers are left."""
    tracemalloc.start()
    sizes = []
    for i in range(50):
        model = train(cells(rng=i), max_epochs=1)
        model.predict(cells(rng=i + 1))
        model.annotate(cells(rng=i + 2)[:, ::-1].copy())
        del model
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
    return sizes, len(RMVE._per_instance_manager_store)


@pytest.mark.slow
def test_fifty_cycles():
    """Neither managers nor memory grow."""
    sizes, n_managers = in_a_process_of_its_own(fifty_cycles)
    assert n_managers <= 1
    assert np.mean(sizes[-5:]) - np.mean(sizes[10:15]) < 2e5  # bytes; an AnnData is more


LOADERS = {
    "again": {},
    "compressed": {"load_sparse_tensor": True},
    "by another process": {"datasplitter_kwargs": {"num_workers": 1}},
}


def weights(model):
    return torch.cat([value.double().ravel() for value in model.module.state_dict().values()])


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_same_seed_same_bits(name):
    runs = []
    for _ in range(2):
        scvi.settings.seed = 3
        runs.append(weights(train(cells(), **LOADERS[name])))
    assert torch.equal(*runs)
    scvi.settings.seed = 4
    assert not torch.equal(runs[0], weights(train(cells(), **LOADERS[name])))


def test_same_seed_same_bits_with_two_threads():
    """Another number may round otherwise; the same number does not."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    runs = []
    try:
        for _ in range(2):
            scvi.settings.seed = 3
            runs.append(weights(train(cells(), max_epochs=1)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*runs)
