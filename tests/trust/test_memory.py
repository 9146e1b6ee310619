"""What is not needed any more is freed, and the same seed is the same run."""

import copy
import gc
import multiprocessing
import pickle
import tracemalloc
import weakref

import numpy as np
import pytest
import scvi
import torch
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


def fifty_cycles(found):
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
    found.put((sizes, len(RMVE._per_instance_manager_store)))


@pytest.mark.slow
def test_fifty_cycles():
    """Neither managers nor memory grow, in a process of its own: pytest keeps what is logged."""
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    process = context.Process(target=fifty_cycles, args=(found,))
    process.start()
    sizes, n_managers = found.get(timeout=1200)
    process.join()
    assert n_managers <= 1
    assert np.mean(sizes[-5:]) - np.mean(sizes[10:15]) < 2e5  # bytes; an AnnData is more


LOADERS = {
    "again": {},
    "compressed": {"load_sparse_tensor": True},
}


def weights(model):
    return torch.cat([value.double().ravel() for value in model.module.state_dict().values()])


@pytest.mark.parametrize("name", LOADERS)
def test_same_seed_same_bits(name):
    runs = []
    for _ in range(2):
        scvi.settings.seed = 3
        runs.append(weights(train(cells(), **LOADERS[name])))
    assert torch.equal(*runs)
    scvi.settings.seed = 4
    assert not torch.equal(runs[0], weights(train(cells(), **LOADERS[name])))
