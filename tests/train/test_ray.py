"""Where Ray is installed its workers train as torchrun's do."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from mixvi import datasets
from mixvi.model import RMVE
from mixvi.train import on_ray, ray_settings

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: make test-ray")
needs_tune = pytest.mark.skipif(find_spec("hyperopt") is None, reason="needs Ray: make test-ray")
# Ray's own warnings are its business
pytestmark = pytest.mark.filterwarnings("ignore")


def train(directory):
    """What a worker does; read from its source there, so everything is imported here."""
    from torch import distributed

    from mixvi import datasets
    from mixvi.model import RMVE
    from mixvi.train import ray_settings

    adata = datasets.simulate(200, 40, n_components=3, rng=0)
    RMVE.setup_anndata(adata)
    model = RMVE(adata, n_components=3, n_hidden=16)
    model.train(max_epochs=4, batch_size=32, enable_progress_bar=False, **ray_settings())
    state = {name: value.cpu() for name, value in model.module.state_dict().items()}
    torch.save(state, Path(directory) / f"{distributed.get_rank()}.pt")
    model.save(Path(directory) / "model")


@needs_ray
def test_workers_train_one_model(tmp_path):
    import ray
    from ray import cloudpickle

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        on_ray(train, 2, directory=str(tmp_path))
    finally:
        ray.shutdown()
    one, other = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    adata = datasets.simulate(200, 40, n_components=3, rng=0)
    assert RMVE.load(tmp_path / "model", adata=adata).predict_proba().shape == (200, 3)


@needs_ray
@needs_tune
def test_autotune_tries_numbers_of_components(tmp_path):
    import ray
    from ray import tune
    from scvi.autotune import run_autotune

    adata = datasets.simulate(200, 40, n_components=3, rng=0)
    RMVE.setup_anndata(adata)
    try:
        experiment = run_autotune(
            RMVE,
            adata,
            metrics=["elbo_validation"],
            mode="min",
            search_space={
                "model_params": {"n_components": tune.choice([2, 4]), "n_hidden": 16},
                "train_params": {"max_epochs": 3, "accelerator": "cpu"},
            },
            num_samples=2,
            resources={"cpu": 1},
            logging_dir=str(tmp_path),
            ignore_reinit_error=True,
            seed=0,
        )
    finally:
        ray.shutdown()
    results = experiment.result_grid.get_dataframe()
    tried = results["config/model_params/n_components"]
    assert set(tried) <= {2, 4}
    assert results["elbo_validation"].notna().all()


def test_without_ray_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr("mixvi.train.ray.find_spec", lambda name: None)
    for call in (ray_settings, lambda: on_ray(print, 2)):
        with pytest.raises(ImportError, match=r"pip install 'ray\[train\]'"):
            call()
