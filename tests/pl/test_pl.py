"""Plots: what they return, the colors they take, and what they say when a key is missing."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mixvi.pl import contingency, umap_panels

CLUSTERS = [0, 0, 0, 1, 1, 2, 2, 2]
LABELS = ["T", "T", "B", "NK", "NK", "B", "B", None]


@pytest.fixture
def adata() -> ad.AnnData:
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "cgmdvae": pd.Categorical(CLUSTERS, categories=range(4)),
            "cgmdvae_confidence": rng.uniform(0.4, 1, 8),
            "cell_type": LABELS,
        },
        index=[f"cell{i}" for i in range(8)],
    )
    return ad.AnnData(obs=obs, obsm={"X_umap": rng.normal(size=(8, 2)), "line": np.ones((8, 1))})


def shown_colors(axis: Axes) -> set[str]:
    return {to_hex(color) for color in axis.collections[0].get_facecolors()}


def test_panels(adata):
    before = adata.copy()
    figure = umap_panels(adata, label_key="cell_type")
    assert isinstance(figure, Figure)
    titles = [axis.get_title() for axis in figure.axes[:3]]
    assert titles == ["cluster (cgmdvae)", "label (cell_type)", "confidence"]
    assert shown_colors(figure.axes[0]) == {"#1f77b4", "#ff7f0e", "#2ca02c"}
    names = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert names == ["B", "NK", "T", "NA"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["0", "1", "2"]
    assert list(adata.uns) == list(before.uns)
    pd.testing.assert_frame_equal(adata.obs, before.obs)


def test_panels_without_labels(adata):
    assert len(umap_panels(adata).axes) == 3  # two panels and the color bar


def test_stored_colors_win(adata):
    adata.uns["cgmdvae_colors"] = ["#ff0000", "#00ff00", "#0000ff", "#000000"]
    assert shown_colors(umap_panels(adata).axes[0]) == {"#ff0000", "#00ff00", "#0000ff"}


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # scanpy's use of matplotlib
def test_same_colors_as_scanpy(adata):
    drawn = shown_colors(umap_panels(adata).axes[0])
    sc.pl.umap(adata, color="cgmdvae", show=False)
    assert drawn == set(adata.uns["cgmdvae_colors"][:3])


@pytest.mark.parametrize(
    ("kwargs", "error", "sentence"),
    [
        ({"key": "rmve"}, KeyError, "'rmve_confidence' in adata.obs, found 'cgmdvae'"),
        ({"label_key": "type"}, KeyError, "'type' in adata.obs, found 'cgmdvae'"),
        ({"basis": "X_tsne"}, KeyError, "'X_tsne' in adata.obsm, found 'X_umap'"),
        ({"basis": "line"}, ValueError, r"two dimensions .*'line'.*\(8, 1\)"),
    ],
)
def test_panels_refuse(adata, kwargs, error, sentence):
    with pytest.raises(error, match=sentence):
        umap_panels(adata, **kwargs)


def test_many_clusters_have_their_own_colors(adata):
    big = ad.concat([adata] * 5, index_unique="-")
    big.obs["cgmdvae"] = pd.Categorical(range(40))
    big.obs["cgmdvae_confidence"] = 1.0
    assert len(shown_colors(umap_panels(big).axes[0])) == 40


def test_contingency(adata):
    axis = contingency(adata, label_key="cell_type")
    assert isinstance(axis, Axes)
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["T", "NK", "B"]
    shares = np.asarray(axis.images[0].get_array())
    np.testing.assert_allclose(shares, [[2 / 3, 0, 1 / 3], [0, 1, 0], [0, 0, 1]])
    assert axis.get_yticklabels()[0].get_text() == "0 (n = 3)"


def test_contingency_on_given_axes(adata):
    _, axis = plt.subplots()
    assert contingency(adata, label_key="cell_type", ax=axis) is axis
    n_figures = len(plt.get_fignums())
    assert n_figures == 1


@pytest.mark.parametrize("missing", ["key", "label_key"])
def test_contingency_refuses(adata, missing):
    with pytest.raises(KeyError, match="'nothing' in"):
        contingency(adata, **({"label_key": "cell_type"} | {missing: "nothing"}))
