"""Training by Ray's workers, on one machine or many."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

__all__ = ["on_ray", "ray_settings"]


def ray_settings() -> dict[str, Any]:
    """What ``model.train`` must be told in a worker of Ray Train.

    Returns
    -------
    ``strategy``, ``plugins``, ``devices`` and ``accelerator``, to be passed on.

    Raises
    ------
    ImportError
        If Ray is not installed.
    """
    _check_ray()
    from ray.train.lightning import RayDDPStrategy, RayLightningEnvironment
    from ray.train.torch import get_device

    return {
        "strategy": RayDDPStrategy(),
        "plugins": [RayLightningEnvironment()],
        "devices": 1,  # of every worker
        "accelerator": "cpu" if get_device().type == "cpu" else "gpu",
    }


def on_ray(
    train: Callable[..., Any], n_workers: int, *, use_gpu: bool = False, **config: Any
) -> Any:
    """Run a function in every worker of a Ray cluster, which train one model together.

    Parameters
    ----------
    train
        Reads the cells, makes the model, trains it with ``model.train(**ray_settings())`` and
        saves it; of several workers the first one writes. Every worker runs it, maybe on another
        machine: files must be where all of them find them.
    n_workers
        Number of processes.
    use_gpu
        Whether each of them gets a GPU.
    **config
        Arguments of ``train``; values that can be pickled.

    Returns
    -------
    Ray's result.

    Raises
    ------
    ImportError
        If Ray is not installed.
    """
    _check_ray()
    from ray.train import ScalingConfig
    from ray.train.torch import TorchTrainer

    trainer = TorchTrainer(
        lambda arguments: train(**arguments),
        train_loop_config=config,
        scaling_config=ScalingConfig(num_workers=n_workers, use_gpu=use_gpu),
    )
    return trainer.fit()


def _check_ray() -> None:
    if find_spec("ray") is None:
        raise ImportError("expected Ray, found none installed; pip install 'ray[train]'")
