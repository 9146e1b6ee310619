import numpy as np
import pytest
import scanpy as sc
from anndata import AnnData
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from mixvi.model.readout import fit_linear_path, fit_readout, log_normalized

pytestmark = pytest.mark.law


@pytest.fixture
def counts():
    return np.random.default_rng(0).poisson(1.0, (60, 12)).astype(np.float32)


def test_log_normalized_is_scanpys(counts):
    adata = AnnData(counts.copy())
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    np.testing.assert_allclose(
        log_normalized(counts, counts.sum(1)).toarray(), adata.X, rtol=1e-5, atol=1e-6
    )


def test_readout_is_ridge_regression(counts):
    y = sparse.csr_matrix(counts)
    features = np.random.default_rng(1).normal(3, 2, (60, 5))
    readout = fit_readout(features, y, penalty=7.0)
    ridge = Ridge(alpha=7.0 * features.var(0).mean()).fit(features, counts)
    np.testing.assert_allclose(readout(features), ridge.predict(features), rtol=1e-4)
    flat = fit_readout(features, y, penalty=1e9)
    np.testing.assert_allclose(flat(features), np.tile(counts.mean(0), (60, 1)), rtol=1e-4)


def test_linear_path_is_pca(counts):
    path = fit_linear_path(sparse.csr_matrix(counts), 4)
    pca = PCA(4).fit(counts)
    scores = path.encode(sparse.csr_matrix(counts))
    np.testing.assert_allclose(
        path.decode(scores), pca.inverse_transform(pca.transform(counts)), atol=1e-3
    )
    np.testing.assert_allclose(path.encode(path.decode(scores)), scores, atol=1e-3)
