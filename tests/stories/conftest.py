import pyro
import pytest
import torch


@pytest.fixture(autouse=True)
def _validated():
    with pyro.validation_enabled(True), torch.random.fork_rng():
        pyro.clear_param_store()
        yield
