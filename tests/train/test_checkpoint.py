"""Interrupted runs go on to the same weights."""

import os
import signal

import numpy as np
import pytest
import scvi
import torch
from lightning.pytorch import Callback
from tests.trust.cells import cells

from mixvi.model import CGMDVAE, RMVE

pytestmark = [
    pytest.mark.contract,
    pytest.mark.filterwarnings("ignore:Checkpoint directory"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint"),
]

EPOCHS = 14
RUN = {
    "max_epochs": EPOCHS,
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "batch_size": 32,
    "checkpoint_minutes": 0,
}


class Stop(Callback):
    """Something goes wrong in the middle of an epoch."""

    def __init__(self, epoch, how=None):
        self.epoch, self.how = epoch, how or RuntimeError("lost power")

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == self.epoch and batch_idx == 1:
            if isinstance(self.how, signal.Signals):
                os.kill(os.getpid(), self.how)
            else:
                raise self.how


def make(cls=RMVE, seed=0):
    scvi.settings.seed = seed
    adata = cells(96)
    cls.setup_anndata(adata, batch_key="batch")
    return cls(adata, n_components=3, n_hidden=8, n_latent=3)


def assert_same_run(a, b):
    for (name, x), (_, y) in zip(
        a.module.state_dict().items(), b.module.state_dict().items(), strict=True
    ):
        assert torch.equal(x, y), name
    assert a.history.keys() == b.history.keys()
    for name, table in a.history.items():
        np.testing.assert_array_equal(table.to_numpy(float), b.history[name].to_numpy(float), name)
        np.testing.assert_array_equal(np.asarray(table.index, float), b.history[name].index)
    np.testing.assert_array_equal(a.train_indices, b.train_indices)
    np.testing.assert_array_equal(a.predict_proba(), b.predict_proba())
    assert a.novelty_quantiles_ == b.novelty_quantiles_


# of the phases: pre-training, too many components, joint training
@pytest.mark.parametrize("epoch", [1, 7, 8, 10, 13])
@pytest.mark.parametrize("cls", [RMVE, CGMDVAE])
def test_resumed_run_is_the_same_run(cls, epoch, tmp_path):
    whole = make(cls)
    whole.train(**RUN)
    broken = make(cls)
    with pytest.raises(RuntimeError, match="lost power"):
        broken.train(**RUN, checkpoint_dir=tmp_path, callbacks=[Stop(epoch)])
    again = make(cls, seed=99)  # another start, other random numbers
    scvi.settings.seed = 5
    again.train(**RUN, checkpoint_dir=tmp_path, resume=True)
    assert_same_run(again, whole)
    assert [path.name for path in tmp_path.iterdir()] == ["training.ckpt"]


def test_checkpoints_change_nothing(tmp_path):
    plain, watched = make(), make()
    scvi.settings.seed = 0
    plain.train(**RUN)
    scvi.settings.seed = 0
    watched.train(**RUN, checkpoint_dir=tmp_path, resume=True)  # nothing there yet
    assert_same_run(watched, plain)
