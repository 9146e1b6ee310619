"""One small trained model for the whole folder."""

import pytest
import scvi
from tests.trust.cells import QUICK, SMALL, cells

from mixvi.model import RMVE


@pytest.fixture(scope="module")
def model():
    """Trained on :func:`cells`; tests must not change it."""
    scvi.settings.seed = 0
    adata = cells()
    RMVE.setup_anndata(adata, batch_key="batch")
    trained = RMVE(adata, n_components=3, **SMALL)
    trained.train(**QUICK)
    return trained
