import numpy as np
import pytest
import scvi
from tests.model.specs import QUICK

from mixvi import datasets
from mixvi.model import CGMDVAE

SOURCE, TARGET = {"condition": "condition_0"}, {"condition": "condition_1"}


@pytest.fixture(scope="module")
def model():
    """Two real clusters; only the first responds, by its first five genes."""
    adata = datasets.simulate(400, 60, n_components=2, depth=500, rng=0)
    rng = np.random.default_rng(0)
    stimulated = rng.random(400) < 0.5
    responds = (adata.obs["component"] == "component_0").to_numpy() & stimulated
    x = adata.X.toarray()
    x[np.ix_(responds, range(5))] += rng.poisson(30, (responds.sum(), 5))
    adata.X = x
    adata.obs["condition"] = np.where(stimulated, "condition_1", "condition_0")
    scvi.settings.seed = 0
    CGMDVAE.setup_anndata(adata, condition_key="condition", labels_key="component")
    model = CGMDVAE(adata, n_components=2, n_hidden=32, condition_effect="latent")
    model.train(**QUICK | {"max_epochs": 40})
    return model


def test_the_cluster_and_the_genes_that_respond(model):
    effects = model.get_condition_effects(SOURCE, TARGET)
    clusters = effects.clusters
    assert list(clusters.index) == ["component_0", "component_1"]
    assert clusters["measured"].all()
    assert clusters["effect"].iloc[0] > 2 * clusters["effect"].iloc[1]
    assert clusters["shift"].iloc[0] > 2 * clusters["shift"].iloc[1]
    np.testing.assert_allclose(clusters[["n_source", "n_target"]].to_numpy().sum(), 400)
    first = effects.genes.loc["component_0"]
    top = first["effect"].nlargest(5)
    assert set(top.index) == set(model.adata.var_names[:5])
    assert (first.loc[top.index, "false_sign"] < 0.05).all()
    np.testing.assert_allclose(first["effect"], first["target"] - first["source"])


def test_the_table_tells_the_counterfactual(model):
    """Same shifts: the mean latent of the shown cells moves by the table's shift."""
    effects = model.get_condition_effects(SOURCE, TARGET)
    own = model.adata.obs["condition"] == "condition_0"
    cells = model.adata[(own & (model.adata.obs["component"] == "component_0")).to_numpy()].copy()
    result = model.predict_counterfactual(cells, TARGET)
    change = np.log1p(result.X).mean(0) - np.log1p(result.layers["source"]).mean(0)
    assert np.corrcoef(change, effects.genes.loc["component_0", "effect"])[0, 1] > 0.95


def test_wrong_input(model):
    with pytest.raises(ValueError, match="two categories"):
        model.get_condition_effects(TARGET, TARGET)
    with pytest.raises(KeyError, match="'batch'"):
        model.get_condition_effects({"batch": "a"}, TARGET)
    with pytest.raises(ValueError, match="n_samples"):
        model.get_condition_effects(SOURCE, TARGET, n_samples=1)
