"""The phases of a real run, seen from outside."""

import numpy as np
import pytest
import scvi
import torch
from lightning.pytorch import Callback

from mixvi import datasets
from mixvi.model import CGMDVAE, RMVE
from mixvi.train import KeepBest

QUICK = {"accelerator": "cpu", "enable_progress_bar": False, "batch_size": 64}


def make(cls=CGMDVAE):
    scvi.settings.seed = 0
    adata = datasets.simulate(300, 60, n_components=3, separation=10, depth=500, rng=0)
    cls.setup_anndata(adata)
    return cls(adata, n_components=3, n_hidden=32)


@pytest.fixture
def model():
    return make()


class Watch(Callback):
    """Writes down what the phases are made of."""

    def __init__(self):
        self.pretraining, self.n_pretraining, self.locs = [], [], []

    def on_train_epoch_end(self, trainer, pl_module):
        self.pretraining.append(pl_module.module.pretraining)
        self.n_pretraining.append(pl_module.module.pretraining_prior.n_components)
        self.locs.append(pl_module.module.prior.components.loc.detach().clone())


def test_components_wait_and_start_from_the_latent_space(model):
    watch = Watch()
    before = model.module.prior.components.loc.detach().clone()
    phases = {"pretrain_fraction": 0.3, "overcluster_fraction": 0.3}
    model.train(10, **phases, early_stopping=False, callbacks=[watch], **QUICK)
    assert watch.pretraining == [True] * 6 + [False] * 4
    assert watch.n_pretraining == [1] * 3 + [30] * 3 + [1] * 4
    torch.testing.assert_close(watch.locs[5], before)
    assert (watch.locs[6] - before).abs().max() > 0.1
    assert not model.module.pretraining


def test_terms_by_phase(model):
    model.train(10, pretrain_fraction=0.5, overcluster_fraction=0, **QUICK)
    history = model.history
    assert len(history["kl_z_train"]) == 10
    assert list(history["kl_y_train"].index) == [5, 6, 7, 8, 9]
    assert history["kl_weight"].iloc[-1].item() == 1


class Spoil(Callback):
    """Makes the last epochs useless."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch >= self.epoch:
            with torch.no_grad():
                pl_module.module.decoder.layers[0].weight.normal_(0, 10)


def test_best_weights_are_really_restored(model):
    keep = KeepBest(from_epoch=2)  # the first two epochs have another objective
    model.train(
        8,
        pretrain_fraction=0.25,
        overcluster_fraction=0.0,
        warmup_fraction=0.0,
        callbacks=[Spoil(6), keep],
        early_stopping_patience=100,
        **QUICK,
    )
    assert keep.best_epoch is not None
    assert keep.best_epoch < 6
    spoiled = model.history["elbo_validation"].iloc[-1].item()
    validation = -model.get_elbo(indices=model.validation_indices)
    assert validation < spoiled - 10
    assert validation == pytest.approx(keep.best_value, rel=0.02)


@pytest.mark.contract
@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
def test_stops_early(cls):
    model = make(cls)
    model.train(
        200,
        pretrain_fraction=0.02,
        overcluster_fraction=0.0,
        warmup_fraction=0.0,
        early_stopping_patience=2,
        plan_kwargs={"lr": 0.02},
        **QUICK,
    )
    assert len(model.history["elbo_train"]) < 200


def test_interrupted_run_leaves_the_models_own_prior(model):
    class Stop(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            raise RuntimeError("pulled the plug")

    with pytest.raises(RuntimeError, match="pulled the plug"):
        model.train(4, callbacks=[Stop()], **QUICK)
    assert not model.module.pretraining
    assert not model.is_trained


def test_diverging_run_says_so(model):
    class Break(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            with torch.no_grad():
                pl_module.module.z_posterior.loc.weight.fill_(float("nan"))

    with pytest.raises(FloatingPointError, match=r"expected a finite loss.*epoch 0.*lower"):
        model.train(3, callbacks=[Break()], **QUICK)


def test_needs_to_know_how_long(model):
    with pytest.raises(ValueError, match="max_epochs or a datamodule with n_obs"):
        model.train(datamodule=object(), **QUICK)


@pytest.mark.parametrize("imbalance", [1, 10])
def test_recovers_simulated_components(imbalance):
    scvi.settings.seed = 0
    adata = datasets.simulate(
        1_200, 200, n_components=5, n_batches=2, separation=8, imbalance=imbalance, rng=1
    )
    CGMDVAE.setup_anndata(adata, batch_key="batch")
    model = CGMDVAE(adata, n_components=5)
    model.train(40, **QUICK | {"batch_size": 128})
    from mixvi.metrics import clustering_scores

    scores = clustering_scores(adata.obs["component"], model.predict())
    assert scores["ari"] > 0.95
    # the weights are the components' shares, in some order
    shares = np.sort(adata.obs["component"].value_counts(normalize=True))
    np.testing.assert_allclose(np.sort(model.get_components().weights), shares, atol=0.03)


def test_labels_tie_components():
    scvi.settings.seed = 0
    adata = datasets.simulate(900, 100, n_components=4, separation=6, rng=2)
    known = adata.obs["component"].astype(str)
    hidden = (np.arange(900) % 5 != 0) | (known == "component_3")
    adata.obs["labels"] = known.mask(hidden, "unknown").astype("category")
    CGMDVAE.setup_anndata(adata, labels_key="labels", unlabeled_category="unknown")
    model = CGMDVAE(adata, n_components=4)
    assert model.cluster_names_ == ["component_0", "component_1", "component_2", "novel_1"]
    model.train(40, **QUICK)
    predicted = model.predict()
    right = predicted == known.replace("component_3", "novel_1").to_numpy()
    assert right[hidden].mean() > 0.9
