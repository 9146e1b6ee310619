"""Several processes train one model as one process would."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.model.specs import SPECS, cells

from mixvi.distributions import ranks
from mixvi.train.plan import idle_weights
from mixvi.train.ranks import for_many_ranks
from mixvi.train.start import overcluster

WORKER = str(Path(__file__).with_name("worker.py"))
THREADS = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def launch(*command, cwd, **env):
    environment = {**os.environ, **THREADS, **env}
    return subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*processes):
    for process in processes:
        try:
            output, _ = process.communicate(timeout=300)
        finally:
            process.kill()
        assert process.returncode == 0, output


def torchrun(task, directory, **env):
    finish(
        launch(
            *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *(WORKER, task, str(directory)),
            cwd=directory,
            **env,
        )
    )


def both(directory, name):
    return [torch.load(directory / f"{name}{rank}.pt") for rank in (0, 1)]


def check_one_model(directory, name):
    one, other = both(directory, name)
    torch.testing.assert_close(one["state"], other["state"], rtol=0, atol=0)
    for same in ("held_out", "quantiles", "epochs"):
        assert torch.equal(one[same], other[same])
    assert not torch.equal(one["noise"], other["noise"])
    shards = [set(each["cells"].tolist()) for each in (one, other)]
    n_trained = 240 - len(one["held_out"])
    assert len(shards[0] & shards[1]) <= 1  # one to make them equally many
    assert len(shards[0] | shards[1]) == n_trained
    assert SPECS.get(name, SPECS["CGMDVAE"]).cls.load(directory / name, adata=cells())


@pytest.mark.parametrize("name", SPECS)
def test_idle_weights_are_those_without_gradient(name):
    adata = cells()
    model = SPECS[name].make(adata)
    module = model.module
    tensors = next(iter(model._make_data_loader(adata, batch_size=64)))
    for phase in ("standard", "fine", "joint"):
        module.pretraining = phase != "joint"
        if phase == "fine":
            overcluster(module, [tensors])
        module.train()
        module.zero_grad()
        module(tensors)[2].loss.backward()
        trained = {id(p): name for name, p in module.named_parameters() if p.requires_grad}
        without = {
            name for name, p in module.named_parameters() if id(p) in trained and p.grad is None
        }
        assert without == {trained[id(p)] for p in idle_weights(module)}, phase


def test_alone_nothing_is_added():
    x = torch.randn(4, requires_grad=True)
    assert ranks.sum_over_ranks(x) is x
    with ranks.together():
        assert ranks.n_ranks() == 1
        assert ranks.mean_over_ranks(x).equal(x)


@pytest.mark.parametrize(
    ("devices", "strategy"),
    [(1, None), ("auto", None), ([0], None), (2, "ddp"), ([0, 1], "ddp")],
)
def test_more_than_one_device_is_ddp(devices, strategy):
    kwargs, callbacks = {}, []
    for_many_ranks(devices, True, callbacks, kwargs)
    assert kwargs.get("strategy") == strategy
    assert len(callbacks) == (strategy == "ddp")


@pytest.mark.law
@pytest.mark.slow
def test_gradients_are_those_of_one_process(tmp_path):
    torchrun("gradients", tmp_path)
    assert (tmp_path / "gradients").exists()


@pytest.mark.slow
def test_components_start_alike_from_all_cells(tmp_path):
    torchrun("start", tmp_path)
    one, other = both(tmp_path, "start")
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert np.isclose(one["usage"].sum(), 1)


@pytest.mark.slow
def test_every_model_trains_with_plain_ddp(tmp_path):
    torchrun("train", tmp_path)
    for name in SPECS:
        check_one_model(tmp_path, name)
    assert not list(tmp_path.rglob("*.pkl"))


@pytest.mark.slow
def test_a_script_starts_its_own_processes_and_they_stop_together(tmp_path):
    finish(launch(WORKER, "seeded", str(tmp_path), cwd=tmp_path))
    check_one_model(tmp_path, "seeded")
    one, _ = both(tmp_path, "seeded")
    assert one["epochs"] < 40


@pytest.mark.slow
def test_two_machines(tmp_path):
    """Two agents that meet at an address, as on two nodes."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    meeting = ("--rdzv-backend", "c10d", "--rdzv-endpoint", f"localhost:{port}", "--rdzv-id", "1")
    nodes = [
        launch(
            *("-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", *meeting),
            *(WORKER, "train", str(tmp_path)),
            cwd=tmp_path,
            NODES="2",
            SPECS="RMVE",
        )
        for _ in range(2)
    ]
    finish(*nodes)
    check_one_model(tmp_path, "RMVE")
