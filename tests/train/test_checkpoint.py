"""Interrupted runs go on to the same weights."""

import errno
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import scvi
import torch
from lightning.pytorch import Callback
from tests.trust.cells import Evil, cells

from mixvi._only_weights import read_weights
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


@pytest.fixture(scope="module")
def whole():
    """The run that nothing happens to."""
    model = make()
    model.train(**RUN)
    return model


def interrupted(cls, directory, epoch, how=None):
    model = make(cls)
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        model.train(**RUN, checkpoint_dir=directory, callbacks=[Stop(epoch, how)])
    return caught.type


def resumed(cls, directory):
    model = make(cls, seed=99)  # another start, other random numbers
    scvi.settings.seed = 5
    model.train(**RUN, checkpoint_dir=directory, resume=True)
    return model


# of the phases: pre-training, too many components, joint training
@pytest.mark.parametrize("epoch", [1, 8, 10, 12, 13])
def test_resumed_run_is_the_same_run(epoch, whole, tmp_path):
    assert interrupted(RMVE, tmp_path, epoch) is RuntimeError
    assert_same_run(resumed(RMVE, tmp_path), whole)
    assert [path.name for path in tmp_path.iterdir()] == ["training.ckpt"]


def test_resumed_run_of_the_other_model(tmp_path):
    whole = make(CGMDVAE)
    whole.train(**RUN)
    interrupted(CGMDVAE, tmp_path, 10)
    assert_same_run(resumed(CGMDVAE, tmp_path), whole)


def test_checkpoints_change_nothing(whole, tmp_path):
    watched = make()
    watched.train(**RUN, checkpoint_dir=tmp_path, resume=True)  # nothing there yet
    assert_same_run(watched, whole)


def test_written_every_some_minutes(tmp_path, monkeypatch):
    """And not more often, but when something happens."""
    written = []
    monkeypatch.setattr("mixvi.train.checkpoint.Write._write", lambda self: written.append(1))
    make().train(**RUN | {"checkpoint_minutes": 60}, checkpoint_dir=tmp_path)
    assert not written
    with pytest.raises(RuntimeError):
        make().train(
            **RUN | {"checkpoint_minutes": 60}, checkpoint_dir=tmp_path, callbacks=[Stop(2)]
        )
    assert len(written) == 1


def test_what_cannot_be_resumed(tmp_path):
    with pytest.raises(ValueError, match="expected a checkpoint_dir to resume from"):
        make().train(**RUN, resume=True)
    interrupted(RMVE, tmp_path, 2)
    for change in ({"max_epochs": 20}, {"batch_size": 16}):
        with pytest.raises(
            ValueError, match=f"a run with {next(iter(change))}.*found a checkpoint"
        ):
            make().train(**RUN | change, checkpoint_dir=tmp_path, resume=True)
    with pytest.raises(ValueError, match=r"a run with model .*pass the same"):
        make(CGMDVAE).train(**RUN, checkpoint_dir=tmp_path, resume=True)
    torch.save({"mixvi": Evil(tmp_path / "ran")}, tmp_path / "training.ckpt")
    with pytest.raises(ValueError, match=r"found \S*system, which is code"):
        make().train(**RUN, checkpoint_dir=tmp_path, resume=True)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("cls", [RMVE, CGMDVAE])
def test_other_cells_or_genes_are_another_run(cls, tmp_path):
    """Another choice of as many genes would fit, and mean nothing."""
    interrupted(cls, tmp_path, 2)
    for names in ("obs_names", "var_names"):
        scvi.settings.seed = 0
        adata = cells(96)
        setattr(adata, names, [f"other_{name}" for name in getattr(adata, names)])
        cls.setup_anndata(adata, batch_key="batch")
        other = cls(adata, n_components=3, n_hidden=8, n_latent=3)
        with pytest.raises(ValueError, match=r"a run with names .*pass the same"):
            other.train(**RUN, checkpoint_dir=tmp_path, resume=True)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_torn_checkpoint(share, tmp_path):
    """What a disk may leave of it is refused, not half read."""
    interrupted(RMVE, tmp_path, 2)
    path = tmp_path / "training.ckpt"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="expected"):
        make().train(**RUN, checkpoint_dir=tmp_path, resume=True)


def full(self, content):
    """A write that gets half way."""
    with open(self, "wb") as file:
        file.write(content[:100])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_costs_the_checkpoint_not_the_run(whole, tmp_path, monkeypatch, caplog):
    interrupted(RMVE, tmp_path, 2)
    before = (tmp_path / "training.ckpt").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        model = make()
        model.train(**RUN, checkpoint_dir=tmp_path)
        assert interrupted(RMVE, tmp_path, 5) is RuntimeError  # and not the disk's own error
    assert_same_run(model, whole)
    assert "No checkpoint could be written" in caplog.text
    assert (tmp_path / "training.ckpt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["training.ckpt"]
    assert_same_run(resumed(RMVE, tmp_path), whole)


def child(directory, epoch=None, how=None):
    """Another process that trains, and may be told to stop itself."""
    # where tests run in the background a shell has SIGINT ignored, and processes inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stop = [] if how is None else [Stop(epoch, signal.Signals(how))]
    make().train(**RUN, checkpoint_dir=directory, resume=True, callbacks=stop)


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mixvi.model", "tests.train.test_checkpoint"])
    return context


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_signals(how, whole, tmp_path, processes):
    """One that asks the process to end: at most the epoch is lost, whatever the minutes."""
    process = processes.Process(target=child, args=(tmp_path, 11, int(how)))
    process.start()
    process.join(300)
    assert process.exitcode == {signal.SIGTERM: 143, signal.SIGINT: 1}[how]
    assert read_weights(tmp_path / "training.ckpt")["epoch"] >= 10
    assert_same_run(resumed(RMVE, tmp_path), whole)


@pytest.mark.slow
def test_killed_at_any_moment(whole, tmp_path, processes):
    """SIGKILL asks nobody."""
    rng = np.random.default_rng(0)
    epochs = []
    for _ in range(20):
        process = processes.Process(target=child, args=(tmp_path,))
        process.start()
        process.join(rng.uniform(0.2, 3.0))
        process.kill()
        process.join()
        path = tmp_path / "training.ckpt"
        epochs.append(read_weights(path)["epoch"] if path.exists() else -1)
    assert epochs == sorted(epochs)
    assert epochs[-1] > 0, "never got anywhere: the machine is too slow for this test"
    assert_same_run(resumed(RMVE, tmp_path), whole)
