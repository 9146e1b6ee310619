"""Before training a model says so, whatever it is asked; and a few manners of what it returns."""

import inspect
import warnings

import numpy as np
import pytest
from tests.model.specs import QUICK

from mixvi import datasets
from mixvi.model import CGMDVAE, RMVE

pytestmark = pytest.mark.contract
CONDITIONS = {"condition": "condition_0"}, {"condition": "condition_1"}
NOT_ABOUT_CELLS = {
    "calibrate_novelty", "data_registry", "deregister_manager", "get_anndata_manager",
    "get_from_registry", "get_setup_arg", "get_state_registry", "get_var_names", "load_registry",
    "save", "to_device", "train", "transfer_fields", "update_setup_method_args",
    "get_importance_weights",
}  # fmt: skip


def cells():
    return datasets.simulate(80, 30, n_components=2, n_conditions=2, rng=0)


def accessors(cls):
    public = inspect.getmembers(cls, inspect.isfunction)
    return [
        name
        for name, _ in public
        if not name.startswith(("_", "view_")) and name not in NOT_ABOUT_CELLS
    ]


def make_untrained(cls):
    adata = cells()
    cls.setup_anndata(adata, condition_key="condition")
    return cls(adata, n_components=2, n_hidden=16)


@pytest.fixture(scope="module")
def both():
    return {cls: make_untrained(cls) for cls in (CGMDVAE, RMVE)}


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (cls, name)
        for cls in (CGMDVAE, RMVE)
        for name in accessors(cls)
        if (cls, name) != (RMVE, "get_style_representation")  # it has no style, trained or not
    ],
)
def test_accessors_ask_for_training(both, cls, name):
    untrained = both[cls]
    arguments = {
        "predict_counterfactual": {"adata": untrained.adata, "target": CONDITIONS[1]},
        "get_condition_effects": dict(zip(("source", "target"), CONDITIONS, strict=True)),
        "differential_expression": {"groupby": "condition"},
    }
    method = getattr(untrained, name)
    if name == "predict_counterfactual":
        accepted = list(inspect.signature(method).parameters)
        arguments[name] = dict(zip(accepted, arguments[name].values(), strict=False))
    with pytest.raises(RuntimeError, match=r"train"):
        method(**arguments.get(name, {}))


@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
def test_a_model_that_is_not_trained_says_so(both, cls):
    untrained = both[cls]
    assert repr(untrained).endswith("untrained)")
    with pytest.raises(RuntimeError, match=r"untrained\) is not trained; call train\(\) first"):
        untrained.get_normalized_expression()


def test_minified_without_preparation_and_without_traces():
    adata = cells()
    RMVE.setup_anndata(adata)
    model = RMVE(adata, n_components=2, n_hidden=16)
    model.train(**QUICK)
    expected = model.predict_proba()
    before = list(adata.obsm)
    model.minify_adata()
    np.testing.assert_allclose(model.predict_proba(), expected, atol=1e-4)
    assert list(adata.obsm) == before
    assert "X_latent_qzm" not in model.adata.obsm
    assert model.adata.X is None or not model.adata.X.nnz
    assert "minified" in repr(model)


def test_reprs_are_one_line():
    adata = cells()
    RMVE.setup_anndata(adata, condition_key="condition")
    model = RMVE(adata, n_components=4, n_hidden=16)
    model.train(**QUICK)
    tree = model.merge_components(2)
    shown = [model, tree, model.get_components(), model.get_condition_effects(*CONDITIONS)]
    for each in shown:
        assert "\n" not in repr(each)
        assert len(repr(each)) < 100
    assert repr(tree).startswith("MergeTree(4 components, ")
    assert "2 clusters" in repr(model)
    assert repr(shown[2]) == "ComponentTable(4 components in 10 latent dimensions)"


def test_a_warning_comes_once():
    adata = cells()
    RMVE.setup_anndata(adata)
    model = RMVE(adata, n_components=2, n_hidden=16)
    model.train(**QUICK)
    query = adata[:, :20].copy()  # a third of the genes is missing
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mapped = RMVE.load_query_data(query, model)
        mapped.annotate()
        mapped.get_novelty()
    about_genes = [str(each.message) for each in caught if "gene" in str(each.message)]
    assert len(about_genes) == 1
