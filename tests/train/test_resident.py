"""Cells on the device: the mini-batches of the ordinary loader. The device here is a processor."""

import numpy as np
import pytest
import scvi
import torch
from scipy.sparse import csr_matrix
from scvi import REGISTRY_KEYS
from scvi.dataloaders import AnnDataLoader
from torch.utils.data import Dataset

from mixvi import datasets
from mixvi.distributions.sparse import is_sparse
from mixvi.model import CGMDVAE, RMVE
from mixvi.train import resident
from mixvi.train.resident import Resident, on_device

CPU = torch.device("cpu")
PLENTY = 1e9
KEYS = {"batch_key": "batch", "condition_key": "condition"}


def cells(*, dense=False, largest=None):
    adata = datasets.simulate(150, 40, n_batches=2, n_conditions=2, depth=8, rng=0)
    counts = np.array(adata.to_df(), dtype=np.float32)
    counts[7] = np.eye(40)[0]
    counts[-1, 1] = largest or counts[-1, 1]
    adata.X = counts if dense else csr_matrix(counts)
    adata.obs["age"] = np.linspace(0, 1, adata.n_obs)
    return adata


def loader_of(adata, **kwargs):
    RMVE.setup_anndata(adata, continuous_covariate_keys=["age"], **KEYS)
    manager = RMVE._get_most_recent_anndata_manager(adata)
    return AnnDataLoader(manager, batch_size=32, load_sparse_tensor=True, **kwargs)


def bytes_of_dense(adata):
    return adata.n_obs * adata.n_vars


def drawn(loader, seed=3):
    """Two epochs of mini-batches."""
    torch.manual_seed(seed)
    return [batch for _ in range(2) for batch in loader]


@pytest.mark.law
@pytest.mark.parametrize("layout", ["dense", "compressed"])
@pytest.mark.parametrize("dense_counts", [False, True])
def test_mini_batches_are_those_of_the_ordinary_loader(layout, dense_counts, monkeypatch):
    monkeypatch.setattr(resident, "CHUNK", 64)  # three chunks
    adata = cells(dense=dense_counts)
    which = np.random.default_rng(0).permutation(adata.n_obs)[:140]
    ordinary = loader_of(adata, indices=which, shuffle=True)
    room = PLENTY if layout == "dense" else bytes_of_dense(adata[which]) - 1
    near = on_device(ordinary, CPU, room)
    assert isinstance(near.dataset, Resident)
    assert near.dataset.is_dense == (layout == "dense")
    assert near.dataset.counts.dtype == torch.uint8
    pairs = list(zip(drawn(near), drawn(ordinary), strict=True))
    assert len(pairs) == 2 * 5
    for found, expected in pairs:
        assert set(found) == set(expected)
        for name, part in expected.items():
            part, other = torch.as_tensor(part), found[name]
            assert other.dtype == part.dtype, name
            if name == REGISTRY_KEYS.X_KEY:
                assert is_sparse(other) == (layout == "compressed")
                part, other = (x.to_dense() if is_sparse(x) else x for x in (part, other))
            assert torch.equal(part, other), name


@pytest.mark.law
@pytest.mark.parametrize(
    ("largest", "dtype"),
    [(255, torch.uint8), (256, torch.int16), (32768, torch.float32), (2.5, torch.float32)],
)
@pytest.mark.parametrize("room", ["plenty", "little"])
def test_counts_are_kept_to_the_last_digit(largest, dtype, room):
    adata = cells(largest=largest)
    loader = loader_of(adata)
    room = PLENTY if room == "plenty" else bytes_of_dense(adata) * dtype.itemsize - 1
    kept = Resident(loader.dataset, CPU, room)
    assert kept.counts.dtype == dtype
    x = kept[[adata.n_obs - 1, 7, 7]][REGISTRY_KEYS.X_KEY]
    expected = adata.X[[adata.n_obs - 1, 7, 7]].toarray()
    assert x.dtype == torch.float32
    np.testing.assert_array_equal(x.to_dense() if is_sparse(x) else x, expected)


@pytest.mark.law
def test_what_does_not_fit_stays():
    loader = loader_of(cells())
    assert on_device(loader, CPU, 500) is loader
    with pytest.raises(MemoryError, match=r"expected room for [\d,]+ bytes of counts, found 500"):
        Resident(loader.dataset, CPU, 500)
    assert on_device(loader, CPU) is loader  # a processor reads cells where they are


def test_a_processor_does_not_even_look():
    class Unreadable(Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, rows):
            raise AssertionError("read")

    loader = torch.utils.data.DataLoader(Unreadable(), batch_size=None)
    assert on_device(loader, CPU) is loader


@pytest.mark.contract
@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
@pytest.mark.parametrize("layout", ["dense", "compressed"])
def test_training_gives_the_same_model(cls, layout, monkeypatch):
    """Labels, covariates and held-out cells included."""
    room = {"dense": PLENTY, "compressed": 0.9 * 135 * 40, "none": 0.0}
    models = {}
    for kind in (layout, "none"):
        monkeypatch.setattr(resident, "room_for_cells", lambda device, kind=kind: room[kind])
        adata = cells()
        adata.obs["type"] = np.where(
            np.arange(adata.n_obs) % 2, adata.obs["component"].astype(str), "unknown"
        )
        scvi.settings.seed = 0
        labels = {"labels_key": "type", "unlabeled_category": "unknown"}
        cls.setup_anndata(adata, **KEYS, **labels)
        model = cls(adata, n_hidden=16)
        model.train(max_epochs=4, batch_size=32, enable_progress_bar=False)
        is_near = [
            isinstance(loader.dataset, Resident)
            for loader in (model.trainer.train_dataloader, model.trainer.val_dataloaders)
        ]
        assert is_near == [kind != "none"] * 2
        models[kind] = model
    assert set(models[layout].train_indices) == set(models["none"].train_indices)
    for name in ("elbo_train", "elbo_validation"):
        histories = [models[kind].history[name].to_numpy(dtype=float) for kind in (layout, "none")]
        np.testing.assert_allclose(*histories, rtol=1e-3)
    latents = [models[kind].get_latent_representation() for kind in (layout, "none")]
    np.testing.assert_allclose(*latents, rtol=1e-2, atol=1e-2)
