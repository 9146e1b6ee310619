"""Training as scvi-tools' users know it: splits, stopping, loaders, callbacks, plans."""

import numpy as np
import pytest
import scvi
import torch
from lightning.pytorch import Callback
from scvi.train import SaveCheckpoint
from scvi.train._callbacks import ScibCallback
from tests.model.specs import QUICK, SPECS, cells

pytestmark = pytest.mark.contract

BRIEF = QUICK | {"max_epochs": 1}


def weights(model):
    return torch.cat([value.double().ravel() for value in model.module.state_dict().values()])


def cells_for(likelihood):
    adata = cells()
    if likelihood == "normal":
        adata.X = np.log1p(adata.X.toarray()).astype(np.float32)
    elif likelihood == "bernoulli":
        adata.X = (adata.X.toarray() > 0).astype(np.float32)
    return adata


@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson", "normal", "bernoulli"])
def test_every_likelihood(spec, likelihood):
    model = spec.make(cells_for(likelihood), gene_likelihood=likelihood)
    model.train(**BRIEF)
    for name, history in model.history.items():
        assert np.isfinite(history.to_numpy(dtype=float)).all(), name
    assert np.isfinite(model.get_normalized_expression(indices=[0, 1]).to_numpy()).all()


def test_without_validation(spec):
    """Nothing to stop by: the run has its full length and keeps its last weights."""
    model = spec.make(cells())
    model.train(**QUICK, train_size=1.0, early_stopping=True)
    assert len(model.history["elbo_train"]) == 4
    assert "elbo_validation" not in model.history
    assert len(model.validation_indices) == 0
    assert np.isfinite(model.novelty_threshold())


def test_a_last_cell_alone(spec):
    """129 cells in mini-batches of 128: one is left, and batch statistics of one are none."""
    model = spec.make(cells(129))
    with pytest.warns(UserWarning, match="Last batch will have a small size of 1"):
        model.train(**BRIEF | {"batch_size": 128}, train_size=1.0)
    assert np.isfinite(model.get_latent_representation()).all()
    assert torch.isfinite(weights(model)).all()


def test_another_seed_is_another_model(spec):
    found = []
    for seed in (1, 1, 2):
        scvi.settings.seed = seed
        model = spec.make(cells())
        model.train(**BRIEF)
        found.append(weights(model))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_given_split(spec):
    rows = np.random.default_rng(0).permutation(240)
    split = [rows[:180], rows[180:220], rows[220:]]
    model = spec.make(cells())
    model.train(**BRIEF, datasplitter_kwargs={"external_indexing": split})
    for found, given in zip(
        (model.train_indices, model.validation_indices, model.test_indices), split, strict=True
    ):
        np.testing.assert_array_equal(np.sort(found), np.sort(given))


@pytest.mark.parametrize(
    ("split", "error", "message"),
    [
        ([range(200), range(190, 240)], ValueError, "overlapping"),
        ([[*range(200), 3], range(200, 240)], Warning, "duplicate"),
        ([range(190), range(200, 240)], Warning, "missing"),
    ],
)
def test_splits_that_are_none(spec, split, error, message):
    model = spec.make(cells())
    given = [np.array(list(rows)) for rows in split]
    with pytest.raises(error, match=message):
        model.train(**BRIEF, datasplitter_kwargs={"external_indexing": given})
    assert not model.is_trained


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_cells_loaded_by_other_processes(trained):
    """Another process draws other random numbers, so it is another run, and as good a one."""
    spec, model = trained
    other = spec.make(cells())
    other.train(**BRIEF, datasplitter_kwargs={"num_workers": 1})
    assert np.isfinite(other.predict_proba().to_numpy()).all()
    first, second = (
        model.get_latent_representation(dataloader=model._make_data_loader(model.adata, **options))
        for options in ({}, {"num_workers": 1})
    )
    np.testing.assert_allclose(first, second, atol=1e-6)


class Count(Callback):
    """Counts epochs and keeps the weight of the divergences."""

    def __init__(self):
        self.epochs, self.kl_weights = 0, []

    def on_train_epoch_end(self, trainer, pl_module):
        self.epochs += 1
        self.kl_weights.append(pl_module.kl_weight)


def test_plan_and_callbacks(spec):
    """A user's callbacks run beside the model's own, and the divergences are weighed in."""
    count = Count()
    model = spec.make(cells())
    options = {"early_stopping": False, "check_val_every_n_epoch": 2, "log_every_n_steps": 2}
    model.train(
        **QUICK, **options, warmup_fraction=1.0, callbacks=[count], plan_kwargs={"lr": 1e-2}
    )
    assert count.epochs == 4
    assert count.kl_weights == sorted(count.kl_weights)
    assert 0 < count.kl_weights[0] < count.kl_weights[-1] <= 1
    assert len(model.history["elbo_validation"]) == 2
    if model.module.n_labels:  # supervision does not get lost
        assert model.history["classification_train"].notna().to_numpy().all()
    with pytest.raises(TypeError, match="nonsense"):
        spec.make(cells()).train(**BRIEF, plan_kwargs={"nonsense": 1})


def test_payload_for_scib_metrics(spec):
    """What scvi.autotune scores by scib-metrics: z, batch and label of the last epoch's cells."""
    callback, adata = ScibCallback(), cells()
    if "labels_key" not in spec.setup:
        with pytest.raises(ValueError, match="expected labels for metrics of scib-metrics"):
            spec.make(adata, extra_payload_autotune=True)
        return
    model = spec.make(adata, extra_payload_autotune=True)
    model.train(**QUICK, check_val_every_n_epoch=1, callbacks=[callback])
    plan = callback.pl_module
    for stage, rows in (
        ("training", model.train_indices),
        ("validation", model.validation_indices),
    ):
        kept = getattr(plan, f"_{stage}_epoch_outputs")
        assert {name: len(part) for name, part in kept.items()} == dict.fromkeys(kept, len(rows))
        assert torch.isfinite(kept["z"]).all()
        assert set(kept) == {"z", "batch", "labels"}


@pytest.mark.filterwarnings("ignore:Checkpoint directory:UserWarning")
def test_scvi_tools_checkpoints(spec, tmp_path):
    """The best model of a run, as scvi-tools' own callback saves it, is a model of ours."""
    model = spec.make(cells())
    callback = SaveCheckpoint(
        dirpath=str(tmp_path), monitor="elbo_validation", load_best_on_end=True
    )
    model.train(**QUICK, callbacks=[callback])
    (saved,) = tmp_path.glob("epoch*")
    loaded = spec.cls.load(saved, adata=cells())
    assert loaded.is_trained
    assert np.isfinite(loaded.predict_proba().to_numpy()).all()


@pytest.mark.parametrize("name", [name for name, s in SPECS.items() if "labels_key" in s.setup])
def test_held_out_labels(name):
    """Every label is trained on, however few cells have it."""
    spec = SPECS[name]
    adata = cells()
    labels = adata.obs["labels"].astype(str)
    rare = labels.index[labels == "component_2"]
    labels[rare[3:]] = "unknown"
    adata.obs["labels"] = labels
    model = spec.make(adata)
    model.train(**BRIEF)
    assert set(rare[:3]) <= set(adata.obs_names[model.train_indices])
    probs = model.predict_proba()
    assert set(probs.columns) >= {"component_0", "component_1", "component_2"}
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)


def test_size_of_mini_batches_from_the_number_of_cells(spec, monkeypatch):
    """That of the number of cells, unless the user gives one."""
    monkeypatch.setattr("mixvi.model.training.default_batch_size", lambda n_obs: n_obs // 4)
    model = spec.make(cells())
    brief = {name: value for name, value in BRIEF.items() if name != "batch_size"}
    model.train(**brief, train_size=1.0)
    assert model.trainer.num_training_batches == 4
    model.train(**brief, train_size=1.0, batch_size=model.adata.n_obs // 2)
    assert model.trainer.num_training_batches == 2
