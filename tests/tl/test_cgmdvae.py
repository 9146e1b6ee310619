import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scvi
import torch
from tests.model.specs import QUICK

import mixvi
from mixvi import datasets, tl

FAST = {**QUICK, "max_epochs": 3}


@pytest.fixture
def adata():
    return datasets.simulate(200, 50, n_components=3, n_batches=2, depth=300, rng=0)


def test_one_call_writes_everything(adata):
    assert tl.cgmdvae(adata, 3, batch_key="batch", train_kwargs=FAST) is None
    assert adata.obsm["X_cgmdvae"].shape == (200, 10)
    assert adata.obsm["X_cgmdvae_w"].shape == (200, 4)
    assert adata.obsm["cgmdvae_probs"].shape == (200, 3)
    assert isinstance(adata.obs["cgmdvae"].dtype, pd.CategoricalDtype)
    assert {"cgmdvae_confidence", "cgmdvae_novelty"} <= set(adata.obs)
    assert adata.uns["cgmdvae"]["model"] == "CGMDVAE"
    # nothing of scvi-tools' bookkeeping is left in the user's object
    assert not [key for key in (*adata.obs, *adata.uns) if key.startswith("_scvi")]


def test_goes_on_in_scanpy(adata):
    tl.cgmdvae(adata, 3, train_kwargs=FAST)
    sc.pp.neighbors(adata, use_rep="X_cgmdvae")
    sc.tl.umap(adata)
    figure = sc.pl.umap(adata, color=["cgmdvae", "cgmdvae_confidence"], return_fig=True)
    assert len(figure.axes) >= 2


def test_copy_and_key_added(adata):
    before = adata.copy()
    copy = tl.cgmdvae(adata, 3, key_added="mix", train_kwargs=FAST, copy=True)
    assert set(adata.obs) == set(before.obs)
    assert not adata.obsm.keys() - before.obsm.keys()
    assert {"mix", "mix_confidence", "mix_novelty"} <= set(copy.obs)
    assert {"X_mix", "X_mix_w", "mix_probs"} <= set(copy.obsm)


def test_highly_variable_genes_are_the_default(adata):
    adata.var["highly_variable"] = np.arange(50) < 40
    tl.cgmdvae(adata, 3, train_kwargs=FAST, rng=0)
    chosen = adata.obsm["X_cgmdvae"].copy()
    alone = adata[:, :40].copy()
    tl.cgmdvae(alone, 3, train_kwargs=FAST, rng=0)
    np.testing.assert_array_equal(alone.obsm["X_cgmdvae"], chosen)
    tl.cgmdvae(adata, 3, train_kwargs=FAST, rng=0, mask_var=False)
    assert not np.array_equal(adata.obsm["X_cgmdvae"], chosen)
    with pytest.raises(KeyError, match=r"'hvg'.*highly_variable"):
        tl.cgmdvae(adata, 3, mask_var="hvg")


def test_seed_is_of_the_call(adata):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = scvi.settings.seed
    results = [
        tl.cgmdvae(adata, 3, train_kwargs=FAST, rng=rng, copy=True).obsm["X_cgmdvae"]
        for rng in (1, 1, 2)
    ]
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
    assert (torch.rand(1), np.random.rand()) == expected  # noqa: NPY002
    assert scvi.settings.seed == before


def test_saved_model_gives_the_same_labels(adata, tmp_path):
    tl.cgmdvae(adata, 3, train_kwargs=FAST, save=tmp_path / "model")
    model = mixvi.model.CGMDVAE.load(tmp_path / "model", adata=adata)
    assert list(model.predict(adata)) == list(adata.obs["cgmdvae"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x * 0.5, r"non-integer value \d+\.5"),
        (lambda x: -x, "negative value"),
        (lambda x: x.multiply(np.arange(200)[:, None] != 7).tocsr(), "empty cell"),
        (lambda x: x.multiply(np.arange(50) != 7).tocsr(), "empty gene"),
    ],
)
def test_bad_counts(adata, spoil, message):
    adata.X = spoil(adata.X)
    with pytest.raises(ValueError, match=message):
        tl.cgmdvae(adata, 3, train_kwargs=FAST)
    assert "cgmdvae" not in adata.obs


@pytest.mark.slow
def test_ten_thousand_cells_reach_the_picture():
    """Larger data take another path in the neighbor search."""
    adata = datasets.simulate(10_000, 200, n_components=6, rng=0)
    tl.cgmdvae(adata, 6, train_kwargs=FAST, rng=0)
    sc.pp.neighbors(adata, use_rep="X_cgmdvae")
    sc.tl.umap(adata)
    assert adata.obsm["X_umap"].shape == (10_000, 2)
