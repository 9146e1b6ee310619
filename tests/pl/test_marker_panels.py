"""Marker panels: what is drawn is log-normalized counts, the highest cells on top."""

import anndata as ad
import numpy as np
import pytest
from scipy import sparse
from tests.pl.annotated import annotated

from mixvi.pl import marker_panels

GENES = ["MS4A1", "CD3E", "LYZ"]


@pytest.fixture(params=["dense", "sparse"])
def adata(request):
    cells = annotated(60)
    counts = np.random.default_rng(1).poisson([0.5, 2, 10, 40], (60, 4)).astype("float32")
    found = ad.AnnData(
        sparse.csr_matrix(counts) if request.param == "sparse" else counts,
        obs=cells.obs,
        obsm=dict(cells.obsm),
        uns=cells.uns,
    )
    found.var_names = [*GENES, "MALAT1"]
    found.layers["log"] = np.log1p(counts)
    return found


def panel(axis):
    """Points of an axis and their values, in the order in which they are drawn."""
    return np.asarray(axis.collections[0].get_offsets()), np.asarray(
        axis.collections[0].get_array()
    )


def test_counts_are_normalized(adata):
    figure = marker_panels(adata, GENES, n_columns=2)
    clusters, *genes = figure.axes[:4]
    assert clusters.get_title() == "cluster (cgmdvae)"
    assert [axis.get_title() for axis in genes] == GENES
    counts = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    expected = np.log1p(1e4 * counts / counts.sum(1, keepdims=True))
    for j, axis in enumerate(genes):
        points, values = panel(axis)
        order = np.argsort(expected[:, j], kind="stable")
        np.testing.assert_allclose(values, expected[order, j], rtol=1e-5)
        np.testing.assert_allclose(points, adata.obsm["X_umap"][order])
        assert (np.diff(values) >= 0).all()
    bars = [axis.get_ylabel() for axis in figure.axes[4:]]
    assert bars == ["log(1 + counts per 10,000)"] * 3


def test_other_values_are_shown_as_they_are(adata):
    figure = marker_panels(adata, "LYZ", key=None, layer="log")
    assert len(figure.axes) == 2  # one panel and its color bar
    np.testing.assert_allclose(panel(figure.axes[0])[1], np.sort(adata.layers["log"][:, 2]))
    assert figure.axes[1].get_ylabel() == "expression"


def test_gene_without_counts(adata):
    adata.X = sparse.csr_matrix(adata.shape, dtype="float32")
    axis = marker_panels(adata, "LYZ", key=None).axes[0]
    assert (panel(axis)[1] == 0).all()
    assert axis.collections[0].get_clim() == (0, 1)


@pytest.mark.parametrize(
    ("genes", "options", "error", "sentence"),
    [
        ("MS4A", {}, KeyError, "'MS4A' in adata.var_names, .* nearest names are 'MS4A1'"),
        ([], {}, ValueError, "one gene or more, found none"),
        ("LYZ", {"layer": "counts"}, KeyError, "'counts' in adata.layers, found 'log'"),
        ("LYZ", {"basis": "X_tsne"}, KeyError, "'X_tsne' in adata.obsm"),
        ("LYZ", {"key": "rmve"}, KeyError, "'rmve' in adata.obs"),
    ],
)
def test_refuses(adata, genes, options, error, sentence):
    with pytest.raises(error, match=sentence):
        marker_panels(adata, genes, **options)


def test_names_that_repeat_would_mix_panels_up(adata):
    adata.var_names = ["LYZ"] * adata.n_vars
    with pytest.raises(ValueError, match="unique, found some twice"):
        marker_panels(adata, "LYZ")
