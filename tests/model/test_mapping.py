"""New cells on a trained model: whatever they bring, the reference stays where it is."""

import numpy as np
import pandas as pd
import pytest
import scvi
import torch
from tests.model.specs import QUICK, SPECS, Spec, cells

from mixvi import datasets
from mixvi.model import CGMDVAE, RMVE

pytestmark = pytest.mark.contract

BRIEF = QUICK | {"max_epochs": 2}


def reference_cells():
    adata = cells()
    rng = np.random.default_rng(5)
    adata.obs["site"] = rng.choice(["here", "there"], adata.n_obs)
    adata.obs["age"] = rng.normal(size=adata.n_obs)
    return adata


COVARIATES = {
    "batch_key": "batch",
    "condition_key": "condition",
    "categorical_covariate_keys": ["site"],
    "continuous_covariate_keys": ["age"],
}
REFERENCES = {
    **{name: SPECS[name] for name in ("CGMDVAE-labels", "RMVE-draft", "CGMDVAE-auto")},
    "covariates": Spec(CGMDVAE, COVARIATES),
    "covariates-partial": Spec(RMVE, COVARIATES, {"conditioning": "partial"}),
    "covariates-full": Spec(CGMDVAE, COVARIATES, {"conditioning": "full", "n_components": 60}),
    "linear": Spec(
        RMVE, COVARIATES, {"n_layers": 0, "conditioning": "partial", "gene_likelihood": "poisson"}
    ),
    "supervised": Spec(CGMDVAE, {"batch_key": "batch", "labels_key": "component"}),
    "one batch": Spec(CGMDVAE, {"batch_key": "one"}, {"conditioning": "partial"}),
    "layer norm": Spec(RMVE, {"batch_key": "batch"}, {"norm": "layer", "n_layers": 2}),
}


@pytest.fixture(params=REFERENCES, scope="module")
def reference(request):
    scvi.settings.seed = 0
    adata = reference_cells()
    adata.obs["one"] = "batch_0"
    spec = REFERENCES[request.param]
    model = spec.make(adata)
    model.train(**BRIEF)
    return model


def new_batch(adata):
    adata.obs["batch"] = adata.obs["one"] = "batch_new"


def shared_batch(adata):
    adata.obs["batch"] = adata.obs["one"] = ["batch_0"] * 20 + ["batch_new"] * 20


def more_of_everything(adata):
    new_batch(adata)
    adata.obs["site"] = ["a", "here"] * 20
    adata.obs["condition"] = ["a", "condition_1"] * 20


def one_cell(adata):
    new_batch(adata)
    adata._inplace_subset_obs(adata.obs_names[:1])


def without_labels(adata):
    new_batch(adata)
    del adata.obs["labels"], adata.obs["component"]


def other_genes(adata):
    new_batch(adata)
    adata._inplace_subset_var(adata.var_names[:4:-1])
    adata.var_names = [*adata.var_names[:-3], "other_0", "other_1", "other_2"]


def nothing_new(adata):
    pass


SITUATIONS = [
    new_batch,
    shared_batch,
    more_of_everything,
    one_cell,
    without_labels,
    other_genes,
    nothing_new,
]


def query_cells(situation=new_batch):
    adata = reference_cells()[:40].copy()
    adata.obs["one"] = "batch_0"
    adata.obs_names = [f"query_{name}" for name in adata.obs_names]
    for key in ("batch", "condition", "labels"):
        adata.obs[key] = adata.obs[key].astype(str)
    situation(adata)
    return adata


def what_is_said(model, adata):
    """Everything that must not move, for reference cells."""
    loader = model._loader(adata, None, None, None)
    decoded = []
    with torch.inference_mode():
        for tensors in loader:
            outputs = model.module.inference(**model.module._get_inference_input(tensors))
            outputs["z"] = outputs["qz"].loc
            px = model.module.generative(**model.module._get_generative_input(tensors, outputs))
            decoded.append(px["px"].get_normalized("mu"))
    mean, variance = model.get_latent_representation(adata, return_dist=True)
    return {
        "latent": mean,
        "variance": variance,
        "assignments": model.predict_proba(adata).to_numpy(),
        "novelty": model.get_novelty(adata),
        "decoded": torch.cat(decoded).numpy(),
    }


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.filterwarnings("ignore:the query has no covariate")
def test_reference_stays(reference, situation):
    adata = reference_cells()
    adata.obs["one"] = "batch_0"
    before = what_is_said(reference, adata)
    weights = {k: v.clone() for k, v in reference.module.state_dict().items()}
    query = type(reference).load_query_data(query_cells(situation), reference)
    query.train(**BRIEF)
    assert query.predict_proba().to_numpy().sum(1) == pytest.approx(1, abs=1e-5)
    after = what_is_said(query, adata)
    for name, value in before.items():
        # the latent space does not see the new columns at all; elsewhere sums may be reordered
        exact = name == "latent" and not query.module.encode_covariates
        np.testing.assert_allclose(
            after[name], value, rtol=0 if exact else 1e-5, atol=0 if exact else 1e-6, err_msg=name
        )
    for name, value in reference.module.state_dict().items():
        assert torch.equal(value, weights[name]), name
        now = query.module.state_dict()[name]
        if now.shape == value.shape:
            assert torch.equal(now, value), name  # bit for bit, running moments included


@pytest.fixture(scope="module")
def atlas():
    """A reference of the first two of three components, well separated."""
    scvi.settings.seed = 0
    adata = three_types()
    model = SPECS["CGMDVAE"].cls
    known = adata[adata.obs["component"] != "component_2"].copy()
    model.setup_anndata(
        known, batch_key="batch", labels_key="component", unlabeled_category="unknown"
    )
    trained = model(known, n_components=2, n_hidden=32)
    trained.train(**QUICK | {"max_epochs": 30})
    return trained


def three_types(n_obs=600):
    adata = datasets.simulate(
        n_obs, 60, n_components=3, n_batches=2, n_conditions=2, separation=8, depth=1_000, rng=0
    )
    adata.obs["component"] = "component_" + adata.obs["component"].astype(str).str[-1]
    return adata


def as_query(adata):
    truth = adata.obs.pop("component").to_numpy()
    adata.obs["batch"] = "batch_new"
    return truth


def test_false_alarms_come_at_the_stated_rate(atlas):
    held_out = atlas.adata[atlas.validation_indices]
    assert atlas.is_novel(held_out.copy()).mean() == pytest.approx(0.05, abs=0.03)
    rates = [0.01, 0.05, 0.3]
    thresholds = [atlas.novelty_threshold(rate) for rate in rates]
    assert thresholds == sorted(thresholds, reverse=True)
    novelty = np.sort(atlas.get_novelty(held_out.copy()))
    assert novelty[0] <= thresholds[-1] <= novelty[-1]
    for wrong in (0, 1, 2.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            atlas.novelty_threshold(wrong)


@pytest.mark.parametrize("n_new", [1, 3, "auto"])
def test_new_components(atlas, n_new, tmp_path):
    adata = three_types()
    truth = as_query(adata)
    known = atlas.adata.copy()
    before = what_is_said(atlas, known)
    names = list(atlas.component_names_)
    rate = 0.1  # 40 cells were held out: a smaller one is kept by one or two of them
    query = CGMDVAE.load_query_data(adata, atlas, n_new_components=n_new, false_alarm_rate=rate)
    new = query.component_names_[2:]
    assert new[: 1 if n_new == "auto" else n_new] == [
        f"novel_{i}" for i in range(1 if n_new == "auto" else n_new)
    ]
    assert query.component_names_[:2] == names == atlas.component_names_
    probs = query.predict_proba()
    assert list(probs.columns) == query.cluster_names_
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)
    # found where the unknown type is, and nowhere below the threshold
    novel = query.is_novel(false_alarm_rate=rate)
    predicted, unseen = pd.Series(query.predict()), truth == "component_2"
    found, alarms = (predicted[mask].isin(new).mean() for mask in (unseen, ~unseen))
    assert found > 0.25
    assert found > 4 * alarms
    assert not predicted[~novel].isin(new).any()
    # the reference's cells: as before, to the last bit, where they are no alarms
    after = what_is_said(query, known)
    quiet = before["novelty"] <= atlas.novelty_threshold(rate)
    np.testing.assert_array_equal(after["latent"], before["latent"])
    np.testing.assert_array_equal(after["assignments"][quiet, :2], before["assignments"][quiet])
    assert not after["assignments"][quiet, 2:].any()
    loud = after["assignments"][~quiet]
    np.testing.assert_allclose(
        loud[:, :2], before["assignments"][~quiet] * loud[:, :2].sum(1, keepdims=True), atol=1e-6
    )
    # everything about components knows them
    table = query.get_components()
    np.testing.assert_array_equal(table.means.iloc[:2], atlas.get_components().means)
    assert query.get_component_profiles().shape == (2 + len(new), 60)
    drawn = query.sample(50, component=new[0], library_size=300.0)
    assert drawn.shape == (50, 60)
    query.save(tmp_path / "query", save_anndata=True)
    loaded = CGMDVAE.load(tmp_path / "query")
    np.testing.assert_allclose(loaded.predict_proba(), probs, atol=1e-6)
    loaded.train(**BRIEF)  # a query stays one
    for name, value in atlas.module.state_dict().items():
        if loaded.module.state_dict()[name].shape == value.shape:
            assert torch.equal(loaded.module.state_dict()[name], value)


def test_nothing_new_grows_nothing(atlas):
    known = atlas.adata.copy()
    known.obs["batch"] = "batch_new"
    query = CGMDVAE.load_query_data(known, atlas, n_new_components="auto")
    assert query.component_names_ == atlas.component_names_


def test_mapped_annotation_lands_in_what_the_user_gave(atlas, tmp_path):
    adata = query_cells(other_genes)
    del adata.obs["component"]
    n_vars = adata.n_vars
    atlas.save(tmp_path / "atlas")
    query = CGMDVAE.load_query_data(adata, tmp_path / "atlas")
    query.annotate()
    assert adata.n_vars == n_vars
    assert adata.obs["cgmdvae_novel"].dtype == bool
    np.testing.assert_array_equal(adata.obs["cgmdvae"].astype(str), query.predict())


def test_prepare_query(trained):
    spec, model = trained
    adata = query_cells(other_genes)
    adata.layers["counts"] = adata.X.copy()
    genes = spec.cls.prepare_query_anndata(adata, model, return_reference_var_names=True)
    assert list(genes) == list(model.adata.var_names)
    prepared = spec.cls.prepare_query_anndata(adata, model, inplace=False)
    assert list(prepared.var_names) == list(genes)
    shared = genes.intersection(adata.var_names)
    for place in (lambda a: a.X, lambda a: a.layers["counts"]):
        np.testing.assert_array_equal(
            place(prepared[:, shared]).toarray(), place(adata[:, shared]).toarray()
        )
        assert place(prepared[:, genes.difference(shared)]).sum() == 0
    pd.testing.assert_frame_equal(prepared.obs, adata.obs)
    assert spec.cls.prepare_query_anndata(adata, model) is None
    assert list(adata.var_names) == list(genes)


def test_minified_reference(fresh):
    spec, model = fresh
    adata = cells()
    latent, probs = model.get_latent_representation(adata), model.predict_proba(adata)
    qzm, qzv = model.get_latent_representation(return_dist=True)
    model.adata.obsm["X_latent_qzm"], model.adata.obsm["X_latent_qzv"] = qzm, qzv
    model.minify_adata()
    query = spec.cls.load_query_data(query_cells(), model)
    assert query.minified_data_type is None
    np.testing.assert_allclose(query.get_latent_representation(adata), latent, atol=1e-6)
    np.testing.assert_allclose(query.predict_proba(adata), probs, atol=1e-6)


@pytest.fixture(scope="module")
def atlas_of_rmve():
    """The same reference without labels, of the other model."""
    scvi.settings.seed = 0
    adata = three_types(300)
    RMVE.setup_anndata(adata, batch_key="batch")
    trained = RMVE(adata, n_components=3, n_hidden=32)
    trained.train(**QUICK | {"max_epochs": 10})
    return trained


@pytest.mark.parametrize("model", ["atlas", "atlas_of_rmve"], ids=["CGMDVAE", "RMVE"])
def test_training_reaches_the_query_alone(model, request):
    atlas = request.getfixturevalue(model)
    adata = three_types(300)
    as_query(adata)
    query = type(atlas).load_query_data(adata, atlas)
    # a new batch starts as the average of the known ones
    weight = query.module.decoder.layers[0].covariate_weight.detach().clone()
    torch.testing.assert_close(weight[:, 2], weight[:, :2].mean(1))
    before = query.get_reconstruction_error()["reconstruction_loss"]
    query.train(**QUICK | {"max_epochs": 20, "plan_kwargs": {"lr": 0.01}})
    now = query.module.decoder.layers[0].covariate_weight.detach()
    assert torch.equal(now[:, :2], weight[:, :2])
    assert not torch.equal(now[:, 2], weight[:, 2])
    assert query.get_reconstruction_error()["reconstruction_loss"] < before
    with pytest.raises(ValueError, match="weight_decay"):
        query.train(**BRIEF, plan_kwargs={"weight_decay": 0.1})


def test_training_without_effect_says_so(atlas):
    adata = query_cells(nothing_new)
    del adata.obs["component"]
    query = CGMDVAE.load_query_data(adata, atlas)
    with pytest.warns(UserWarning, match="nothing to train"):
        query.train(**BRIEF)


def no_shared_genes(adata):
    adata.var_names = [f"ENSG{i}" for i in range(adata.n_vars)]


def foreign_labels(adata):
    adata.obs["component"] = "Martian"


def missing_batch(adata):
    adata.obs.loc[adata.obs_names[:2], "batch"] = np.nan


def no_batch(adata):
    del adata.obs["batch"]


def repeated_genes(adata):
    adata.var_names = ["gene_0", "gene_0", *adata.var_names[2:]]


def not_counts(adata):
    adata.X = adata.X * 0.37


@pytest.mark.parametrize(
    ("situation", "error", "message"),
    [
        (no_shared_genes, ValueError, r"found none among 60.*ENSG0.*var_names"),
        (repeated_genes, ValueError, "gene_0.*more than once"),
        (foreign_labels, ValueError, r"expected labels of the reference.*Martian"),
        (missing_batch, ValueError, r"2 of 40 cells without one \(NaN\)"),
        (no_batch, KeyError, "'batch' in adata.obs"),
        (not_counts, ValueError, "raw counts"),
    ],
)
def test_bad_queries(atlas, situation, error, message):
    adata = query_cells(lambda _: None)
    adata.obs["component"] = "unknown"
    situation(adata)
    with pytest.raises(error, match=message):
        CGMDVAE.load_query_data(adata, atlas)


def test_few_genes_are_warned_about(atlas):
    adata = query_cells(lambda a: a._inplace_subset_var(a.var_names[:20]))
    adata.obs["component"] = "unknown"
    with pytest.warns(UserWarning, match="found 20 of the 60 genes of the reference, filled 40"):
        CGMDVAE.load_query_data(adata, atlas)


def test_bad_references(atlas, tmp_path):
    adata = query_cells()
    with pytest.raises(FileNotFoundError, match="no directory"):
        CGMDVAE.load_query_data(adata, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no model.pt in it"):
        CGMDVAE.load_query_data(adata, tmp_path / "empty")
    (tmp_path / "empty" / "model.pt").write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(ValueError, match="damaged or foreign"):
        CGMDVAE.load_query_data(adata, tmp_path / "empty")
    torch.save({"weights": 1}, tmp_path / "empty" / "model.pt")
    with pytest.raises(ValueError, match="damaged or foreign"):
        CGMDVAE.load_query_data(adata, tmp_path / "empty")
    atlas.save(tmp_path / "atlas")
    with pytest.raises(ValueError, match=r"expected a saved RMVE, found a saved CGMDVAE"):
        RMVE.load_query_data(adata, tmp_path / "atlas")
    with pytest.raises(ValueError, match="expected a RMVE or the directory"):
        RMVE.load_query_data(adata, atlas)
    with pytest.raises(ValueError, match="expected a trained reference"):
        CGMDVAE.load_query_data(adata, SPECS["CGMDVAE"].make(cells()))
    with pytest.raises(ValueError, match="n_new_components"):
        CGMDVAE.load_query_data(adata, atlas, n_new_components=-1)
    with pytest.raises(ValueError, match="found a view"):
        CGMDVAE.load_query_data(adata[:5], atlas)


def test_uncalibrated_model_says_so():
    model = SPECS["RMVE"].make(cells())
    with pytest.raises(RuntimeError, match="not trained"):
        model.novelty_threshold()
    model.is_trained_ = True  # as by an earlier version, which held no cells out
    with pytest.raises(RuntimeError, match="calibrate_novelty"):
        model.novelty_threshold()
