"""Pictures of the mixture: what is drawn is what is stored."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from tests.pl.annotated import NAMES, OWNERS, annotated

from mixvi import pl

SHADES = dict(zip(NAMES, ["#ff0000", "#00ff00", "#0000ff"], strict=True))


def test_ellipses_are_weighted_moments():
    adata = annotated()
    axis = pl.components(adata, n_sd=1.5)
    points, q = adata.obsm["X_umap"], adata.obsm["cgmdvae_component_probs"].to_numpy()
    assert len(axis.patches) == 4
    for k, ellipse in enumerate(axis.patches):
        expected = np.cov(points.T, aweights=q[:, k], bias=True)
        angle = np.radians(ellipse.angle)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        drawn = turn @ np.diag([(ellipse.width / 3) ** 2, (ellipse.height / 3) ** 2]) @ turn.T
        np.testing.assert_allclose(drawn, expected, atol=1e-9)
        np.testing.assert_allclose(ellipse.center, np.average(points, 0, q[:, k]))
        assert to_hex(ellipse.get_edgecolor()) == SHADES[OWNERS[k]]
    alpha = np.asarray(axis.collections[0].get_alpha())
    np.testing.assert_allclose(np.sort(alpha), np.sort(adata.obs["cgmdvae_confidence"]))


def test_ellipses_of_clusters_that_are_components():
    adata = annotated()
    del adata.obsm["cgmdvae_component_probs"]
    assert len(pl.components(adata).patches) == 3


def test_component_sizes():
    adata = annotated()
    axis = pl.component_sizes(adata)
    weights = adata.uns["cgmdvae"]["weights"]
    widths = [bar.get_width() for bar in axis.patches]
    # the largest cluster first, in it the largest component
    first, second = sorted(weights[:2], reverse=True)
    np.testing.assert_allclose(widths, [first, second, weights[2], weights[3]])
    hard = adata.obs["cgmdvae_component"].value_counts(normalize=True)
    order = np.r_[np.argsort(-weights[:2]), 2, 3]
    np.testing.assert_allclose(
        axis.collections[0].get_offsets()[:, 0], [hard[str(k)] for k in order]
    )
    assert axis.get_title() == "4 of 4 components used (cgmdvae)"
    assert axis.lines[0].get_xdata()[0] == 0.25
    assert axis.get_yticklabels()[2].get_text() == "B · component 2"


def test_unused_components_are_counted():
    adata = annotated()
    adata.uns["cgmdvae"]["weights"] = np.array([0.6, 0.39, 0.008, 0.002])
    assert pl.component_sizes(adata).get_title().startswith("2 of 4")


def test_responsibilities_divide_columns_like_the_cells():
    adata = annotated()
    axis = pl.responsibilities(adata)
    image = np.asarray(axis.images[0].get_array())
    assert image.shape == (200, adata.n_obs, 3)
    probs, codes = adata.obsm["cgmdvae_probs"].to_numpy(), adata.obs["cgmdvae"].cat.codes
    order = np.lexsort((-probs.max(1), codes))
    for k in range(3):
        shares = (image[..., k] == 1).mean(0)  # red, green and blue
        np.testing.assert_allclose(shares, probs[order, k], atol=0.01)
    own = image[0].argmax(1)  # its own cluster is at the bottom
    np.testing.assert_array_equal(own, codes.to_numpy()[order])
    assert {text.get_text() for text in axis.texts} <= set(NAMES)


def test_responsibilities_of_some_cells():
    image = pl.responsibilities(annotated(), max_cells=30).images[0].get_array()
    assert image.shape[1] == 30


def test_style_space():
    adata = annotated()
    axis = pl.style_space(adata)
    shown = np.asarray(axis.collections[0].get_offsets())
    expected = adata.obsm["X_cgmdvae_w"][:, [0, 2]]  # those that vary most
    np.testing.assert_allclose(np.sort(shown, 0), np.sort(expected, 0))
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("w 1", "w 3")
    assert [patch.radius for patch in axis.patches] == [1, 2]
    axis = pl.style_space(adata, dims=(0, 1), color="age")
    assert axis.get_ylabel() == "w 2 (not used)"
    drawn = np.sort(np.asarray(axis.collections[0].get_array()))
    np.testing.assert_allclose(drawn, np.sort(adata.obs["age"]))
    with pytest.raises(ValueError, match="two of the 3 dimensions"):
        pl.style_space(adata, dims=(0, 3))


def test_profiles_pick_what_stands_out():
    profiles = pd.DataFrame(
        [[0.5, 0.1, 0.1, 0.3], [0.1, 0.5, 0.1, 0.3], [0.1, 0.1, 0.5, 0.3]],
        index=["T", "B", "NK"],
        columns=["CD3", "CD79A", "NKG7", "MALAT1"],
    )
    axis = pl.component_profiles(profiles, n_top=1)
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["CD3", "CD79A", "NKG7"]
    image = np.asarray(axis.images[0].get_array())
    mean = 0.7 / 3
    expected = np.log2(np.where(np.eye(3), 0.5, 0.1) / mean)
    np.testing.assert_allclose(image, expected, atol=1e-5)
    with pytest.raises(ValueError, match="finite and not negative"):
        pl.component_profiles(-profiles)


def test_images_lie_in_their_rows():
    images = np.random.default_rng(0).random((7, 12))
    figure = pl.image_grid(images, (3, 4), titles=list("abcdefg"), n_columns=3)
    assert len(figure.axes) == 9
    for i, axis in enumerate(figure.axes[:7]):
        np.testing.assert_array_equal(axis.images[0].get_array(), images[i].reshape(3, 4))
        assert axis.get_title() == "abcdefg"[i]
    assert not any(axis.images for axis in figure.axes[7:])
    named = pl.image_grid(pd.DataFrame(images, index=list("hijklmn")), (3, 4))
    assert [axis.get_title() for axis in named.axes] == list("hijklmn")
    with pytest.raises(ValueError, match="12 pixels for a shape of 3 × 4, found shape"):
        pl.image_grid(images[:, :9], (3, 4))
    with pytest.raises(ValueError, match="title for each of 7"):
        pl.image_grid(images, (3, 4), titles=["a"])


@pytest.mark.parametrize(
    ("draw", "slot"),
    [
        (pl.components, "obs"),
        (pl.component_sizes, "uns"),
        (pl.responsibilities, "obsm"),
        (pl.style_space, "obsm"),
        (pl.novelty, "obs"),
        (pl.training_history, "uns"),
    ],
)
def test_a_run_that_is_not_there(draw, slot):
    with pytest.raises(KeyError, match=f"adata.{slot}"):
        draw(annotated(), key="rmve")
    assert not plt.get_fignums()


@pytest.mark.parametrize("draw", [pl.components, pl.component_sizes, pl.responsibilities])
def test_on_given_axes_and_nothing_is_changed(draw):
    adata = annotated()
    before = adata.copy()
    _, axis = plt.subplots()
    assert draw(adata, ax=axis) is axis
    assert len(plt.get_fignums()) == 1
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    assert list(adata.uns) == list(before.uns)
