"""Lean steps are Lightning's steps, less what nobody listens to."""

import numpy as np
import pytest
import scvi
import torch
from lightning.pytorch import Callback
from tests.model.specs import QUICK, cells

from mixvi.model import CGMDVAE, RMVE
from mixvi.train import lean

RUN = QUICK | {"max_epochs": 5, "batch_size": 32, "early_stopping": True}


class CountSteps(Callback):
    """Asks for steps."""

    def __init__(self):
        self.n = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.n += 1


def trained(cls, monkeypatch, *, lean_steps=True, **kwargs):
    """A model, and for every epoch whether its steps were lean."""
    asked, is_lean = [], lean.is_lean

    def decide(trainer):
        asked.append(lean_steps and is_lean(trainer))
        return asked[-1]

    monkeypatch.setattr(lean, "is_lean", decide)
    scvi.settings.seed = 0
    adata = cells()
    cls.setup_anndata(adata, batch_key="batch")
    model = cls(adata, n_components=4)
    model.train(**RUN | kwargs)
    monkeypatch.setattr(lean, "is_lean", is_lean)
    return model, asked


@pytest.mark.law
@pytest.mark.parametrize("cls", [CGMDVAE, RMVE])
def test_same_numbers(cls, monkeypatch):
    """Weights to the last bit, history, steps; pre-training, joint training and going on."""
    runs = {}
    for lean_steps in (True, False):
        model, asked = trained(cls, monkeypatch, lean_steps=lean_steps)
        assert asked == [lean_steps] * len(asked)
        assert len(asked) == model.trainer.current_epoch
        n_first = model.trainer.global_step
        model.train(**RUN | {"max_epochs": 2})
        runs[lean_steps] = model, (n_first, model.trainer.global_step)
    (one, steps), (other, other_steps) = runs[True], runs[False]
    assert steps == other_steps
    n_train = len(one.train_indices)
    assert steps[1] == 2 * -(-n_train // 32)
    for name, value in one.module.state_dict().items():
        assert torch.equal(value, other.module.state_dict()[name]), name
    assert set(one.history) == set(other.history)
    for name, values in one.history.items():
        np.testing.assert_array_equal(values, other.history[name], err_msg=name)


@pytest.mark.contract
@pytest.mark.parametrize(
    "asking",
    [
        {"callbacks": "counts"},
        {"gradient_clip_val": 1.0},
        {"accumulate_grad_batches": 2},
        {"profiler": "simple"},
        {"precision": "bf16-mixed"},
        {"plan_kwargs": {"reduce_lr_on_plateau": True, "lr_scheduler_metric": "elbo_validation"}},
    ],
    ids=lambda asking: next(iter(asking)),
)
def test_who_asks_is_heard(asking, monkeypatch):
    counts = CountSteps()
    if "callbacks" in asking:
        asking = {"callbacks": [counts]}
    model, asked = trained(CGMDVAE, monkeypatch, **asking)
    assert asked == [False] * len(asked)
    assert len(asked) == model.trainer.current_epoch > 0
    if "callbacks" in asking:
        assert counts.n == model.trainer.global_step


@pytest.mark.contract
def test_callbacks_of_epochs_do_not_slow_steps(monkeypatch):
    seen = []

    class Epochs(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            seen.append(trainer.global_step)

    model, asked = trained(CGMDVAE, monkeypatch, callbacks=[Epochs()], enable_progress_bar=True)
    assert all(asked)
    assert len(seen) == len(asked)
    assert seen[-1] == model.trainer.global_step
