"""A loss that is no number."""

import pytest
import scvi
import torch
from lightning.pytorch import Callback
from scvi import REGISTRY_KEYS
from tests.trust.cells import QUICK, SMALL, cells

from mixvi.model import RMVE

pytestmark = pytest.mark.contract


class Spoil(Callback):
    """Spoils the weights, or the counts, of one mini-batch."""

    def __init__(self, what, epoch):
        self.what, self.epoch = what, epoch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == (self.epoch, 1):
            if self.what == "weights":
                with torch.no_grad():
                    pl_module.module.z_posterior.loc.weight[0, 0] = float("nan")
            else:
                batch[REGISTRY_KEYS.X_KEY].values()[0] = float("inf")


def make():
    scvi.settings.seed = 0
    adata = cells(96)
    RMVE.setup_anndata(adata)
    return RMVE(adata, n_components=3, **SMALL)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("weights", r"the weights 'z_posterior\.loc\.weight' are not finite.*step before.*lower"),
        ("counts", r"the mini-batch holds values that are not finite; check the"),
    ],
)
def test_says_where_and_why(what, sentence):
    model = make()
    with pytest.raises(FloatingPointError, match=r"in mini-batch 1 of epoch 1: .*" + sentence):
        model.train(**QUICK, callbacks=[Spoil(what, 1)])


@pytest.mark.parametrize("what", ["weights", "counts"])
def test_best_weights_are_kept(what):
    """Those that a run which ended just before would have had."""
    model, shorter = make(), make()
    train = {**QUICK, "max_epochs": 10, "pretrain_fraction": 0.1, "overcluster_fraction": 0.0}
    scvi.settings.seed = 1
    with pytest.raises(FloatingPointError):
        model.train(**train, callbacks=[Spoil(what, 8)])

    class End(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.should_stop = trainer.current_epoch == 7

    scvi.settings.seed = 1
    shorter.train(**train, callbacks=[End()])
    expected = shorter.module.state_dict()
    assert all(torch.isfinite(w).all() for w in expected.values())
    for name, weight in model.module.state_dict().items():
        assert torch.equal(weight, expected[name]), name
