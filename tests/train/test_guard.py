"""Components that get lost."""

import logging

import numpy as np
import pytest
import scvi
import torch
from lightning.pytorch import Callback

from mixvi import datasets, metrics
from mixvi.model import CGMDVAE, RMVE
from mixvi.priors import GaussianMixture
from mixvi.train import GuardComponents

QUICK = {"accelerator": "cpu", "enable_progress_bar": False, "batch_size": 64}


class Collapse(Callback):
    """Makes one component take all cells, at some epochs."""

    def __init__(self, epochs):
        self.epochs = epochs

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch in self.epochs:
            prior = pl_module.module.prior
            with torch.no_grad():
                prior.components.loc.fill_(50.0)
                prior.components.loc[0] = 0
                prior.usage.zero_()[0] = 1
                if isinstance(prior, GaussianMixture):  # its components follow these
                    prior.counts.copy_(prior.usage.clamp(min=1e-3))
                    prior.first.copy_(prior.counts[:, None] * prior.components.loc)


def make(cls=CGMDVAE, **kwargs):
    scvi.settings.seed = 0
    adata = datasets.simulate(480, 80, n_components=4, separation=12, depth=800, rng=0)
    cls.setup_anndata(adata)
    return cls(adata, n_components=4, n_hidden=32, **kwargs)


def run(model, epochs, max_epochs=60):
    guards = []

    class Seen(Callback):
        def on_fit_start(self, trainer, pl_module):
            guards.extend(c for c in trainer.callbacks if isinstance(c, GuardComponents))

    model.train(
        max_epochs,
        pretrain_fraction=0.5,
        overcluster_fraction=0.1,
        early_stopping=False,
        callbacks=[Collapse(epochs), Seen()],
        **QUICK,
    )
    return guards[0].n_restarts


def ari(model):
    return metrics.adjusted_rand_index(model.adata.obs["component"], model.predict())


@pytest.mark.slow
def test_quiet_run_is_left_alone(caplog):
    with caplog.at_level(logging.WARNING, logger="mixvi"):
        assert run(make(), []) == 0
    assert not caplog.records


def test_lost_components_are_started_again(caplog):
    model = make()
    with caplog.at_level(logging.WARNING, logger="mixvi"):
        assert run(model, [45]) == 1
    assert "1 of 4 components were left with cells" in caplog.text
    assert "lr" in caplog.text
    assert ari(model) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
def test_ends_usable_however_often_they_are_lost(cls):
    model = make(cls)
    assert run(model, range(50, 60)) == 3
    assert ari(model) > 0.8
    assert len(np.unique(model.predict())) == 4


@pytest.mark.slow
def test_pruning_is_not_losing():
    assert run(make(dirichlet="global"), [45]) == 0
