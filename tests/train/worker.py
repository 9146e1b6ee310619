"""What the processes of tests/train/test_ranks.py do: ``python worker.py TASK DIRECTORY``."""

import os
import sys
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import scvi
import torch
from torch import distributed

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.model.specs import QUICK, SPECS, cells

from mixvi.distributions import ranks
from mixvi.module import Covariates
from mixvi.train.start import overcluster, start_components

N = 64  # cells of the joint mini-batch
OUT = Path(sys.argv[2])
DDP = {**QUICK, "strategy": "ddp", "batch_size": 32}


def joined():
    """A process group without Lightning."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", timeout=timedelta(seconds=60))
    return distributed.get_rank()


class Noise:
    """Standard normal numbers by cell: the same for a cell whoever works on it."""

    def __init__(self, rows):
        self.rows, self.n = rows, 0

    def __call__(self, shape, dtype, device):
        self.n += 1
        generator = torch.Generator().manual_seed(self.n)
        return torch.randn((N, *shape[1:]), generator=generator)[self.rows]


def one_step(module, tensors, rows):
    """Gradients and buffers after one mini-batch, from the same state."""
    state = {name: value.clone() for name, value in module.state_dict().items()}
    own = {name: value[rows] for name, value in tensors.items()}
    module.zero_grad()
    module.train()
    with patch("torch.distributions.normal._standard_normal", Noise(rows)):
        module(own, loss_kwargs={"n_obs": 500, "kl_weight": 0.7})[2].loss.backward()
    weights = dict(module.named_parameters()).items()
    found = {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()
        for name, weight in weights
    }
    buffers = {name: value.clone() for name, value in module.named_buffers()}
    module.load_state_dict(state)
    return found, buffers


def gradients():
    """Of two processes the same as of one on the joint mini-batch, in every phase."""
    rank = joined()
    torch.set_default_dtype(torch.float64)  # some gradients are 0 but for rounding
    covariates = Covariates.__call__
    Covariates.__call__ = lambda self, tensors: covariates(self, tensors).double()
    specs = {name: (spec, {}) for name, spec in SPECS.items()}
    specs["independent"] = (SPECS["CGMDVAE"], {"independence_weight": 50.0})
    half = slice(rank * N // 2, (rank + 1) * N // 2)
    for name, (spec, init) in specs.items():
        torch.manual_seed(0)
        adata = cells()
        model = spec.make(adata, dropout_rate=0.0, input_dropout=0.0, **init)
        module = model.module
        loader = model._make_data_loader(adata, batch_size=N, load_sparse_tensor=False)
        tensors = {key: value.double() for key, value in next(iter(loader)).items()}
        for phase in ("standard", "fine", "joint"):
            module.pretraining = phase != "joint"
            if phase == "fine":
                overcluster(module, [tensors])
            if phase == "joint":
                start_components(module, [tensors])
            for value in module.state_dict().values():
                distributed.broadcast(value, src=0)
            expected, expected_buffers = one_step(module, tensors, slice(None))
            with ranks.together():
                found, buffers = one_step(module, tensors, half)
            for weight, gradient in found.items():
                distributed.all_reduce(gradient)
                size = expected[weight].abs().max().clamp(min=1e-6)
                error = ((gradient / 2 - expected[weight]).abs().max() / size).item()
                if error > 1e-5:
                    raise AssertionError(f"{name} {phase} {weight}: gradient off by {error:.1e}")
            for buffer, value in expected_buffers.items():
                torch.testing.assert_close(
                    buffers[buffer], value, rtol=1e-5, atol=1e-5, msg=f"{name} {phase} {buffer}"
                )
    if rank == 0:
        (OUT / "gradients").touch()


def start():
    """Components start from the cells of all processes, alike on all."""
    rank = joined()
    torch.manual_seed(rank)
    adata = cells()
    model = SPECS["RMVE"].make(adata)
    ranks_of_cells = range(rank * 100, 100 + rank * 140)  # not equally many
    with ranks.together():
        module = model.module
        for tensor in module.state_dict().values():
            distributed.broadcast(tensor, src=0)
        loader = model._make_data_loader(adata, indices=list(ranks_of_cells))
        overcluster(module, loader)
        fine = module.pretraining_prior
        start_components(module, loader)
    state = {**module.prior.state_dict(), **fine.state_dict(prefix="fine.")}
    torch.save(state, OUT / f"start{rank}.pt")


def train():
    """Train every model with plain "ddp"."""
    torch.set_num_threads(1)
    for name in os.environ.get("SPECS", ",".join(SPECS)).split(","):
        if rank := os.environ.get("RANK"):  # nothing is equal by accident
            torch.manual_seed(int(rank))
        model = SPECS[name].make(cells())
        model.train(devices=2 // int(os.environ.get("NODES", "1")), **DDP, num_nodes=_nodes())
        save(model, name)


def seeded():
    """The same, launched by Lightning."""
    scvi.settings.seed = 1
    model = SPECS["CGMDVAE"].make(cells())
    soon = {"pretrain_fraction": 0.1, "overcluster_fraction": 0.1, "warmup_fraction": 0.1}
    never_enough = {"early_stopping_min_delta": 1e9, "early_stopping_patience": 2}
    model.train(**QUICK | {"max_epochs": 40}, **soon, **never_enough, devices=2)
    save(model, "seeded")


def _nodes():
    return int(os.environ.get("NODES", "1"))


def save(model, name):
    rank = distributed.get_rank()
    loader = model.trainer.train_dataloader
    torch.save(
        {
            "state": model.module.state_dict(),
            "held_out": torch.as_tensor(model.validation_indices),
            "cells": torch.as_tensor([i for batch in loader.sampler for i in batch]),
            "quantiles": torch.tensor(model.novelty_quantiles_),
            "noise": torch.randn(3),
            "epochs": torch.tensor(model.trainer.current_epoch),
        },
        OUT / f"{name}{rank}.pt",
    )
    model.save(OUT / name)


{"gradients": gradients, "start": start, "train": train, "seeded": seeded}[sys.argv[1]]()
