"""One optimizer step, and what is written down about it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from inspect import signature
from typing import Any

import torch
from scvi.module.base import LossOutput
from scvi.train import TrainingPlan
from torch import Tensor, nn

from mixvi.distributions.ranks import n_ranks
from mixvi.module import MixtureVAE

from .schedule import Schedule

__all__ = ["MixturePlan", "check_plan_kwargs", "idle_weights"]


class MixturePlan(TrainingPlan):
    """Train a :class:`~mixvi.module.MixtureVAE` along a :class:`Schedule`.

    Terms are summed on the device and logged once per epoch, each under its own name
    (``kl_z_train``, ``kl_z_validation``, …, beside scvi-tools' ``elbo_*``,
    ``reconstruction_loss_*`` and ``kl_local_*``): a step makes no copy to the host.

    Parameters
    ----------
    module
        The module.
    schedule
        Phases of the run; sets the weight of the divergences.
    lr
        Learning rate of Adam.
    eps
        Adam's ε.
    **kwargs
        Further arguments of scvi-tools' training plan.
    """

    def __init__(
        self,
        module: MixtureVAE,
        *,
        schedule: Schedule,
        lr: float = 1e-3,
        eps: float = 1e-4,
        **kwargs,
    ):
        super().__init__(module, lr=lr, eps=eps, **kwargs)
        self.schedule = schedule
        self._sums: dict[str, dict[str, Tensor | float]] = {"train": {}, "validation": {}}

    @property
    def kl_weight(self) -> float:
        """β now."""
        schedule = getattr(self, "schedule", None)  # asked for once before it is set
        if schedule is None or self._trainer is None:
            return 1.0
        return schedule.kl_weight(self.global_step, self.trainer.num_training_batches)

    def _optimizer_creator_fn(self, optimizer_cls: Any) -> Any:
        # one pass over all weights instead of one for every operation of Adam; scvi-tools does
        # this itself from 1.5 on
        if not hasattr(self, "fused_optimizer"):
            optimizer_cls = partial(optimizer_cls, fused=True)
        return super()._optimizer_creator_fn(optimizer_cls)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of a mini-batch."""
        self.loss_kwargs["kl_weight"] = self.kl_weight
        _, _, output = self.forward(batch, loss_kwargs=self.loss_kwargs)
        self._add("train", output)
        self._keep_payload("training", output)
        if n_ranks() == 1:
            return output.loss
        # the processes wait for the gradient of every weight, so every weight is in the loss
        return output.loss + sum(0.0 * weight.sum() for weight in idle_weights(self.module))

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Leave weights out of the step that are in the loss for form's sake only."""
        if n_ranks() > 1:
            for weight in idle_weights(self.module):
                weight.grad = None

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Terms of a held-out mini-batch."""
        _, _, output = self.forward(batch, loss_kwargs=self.loss_kwargs)
        self._add("validation", output)
        self._keep_payload("validation", output)

    def on_train_epoch_end(self) -> None:
        """Log the epoch's means.

        Raises
        ------
        FloatingPointError
            If the loss is not finite.
        """
        means = self._log_means("train")
        self.log("kl_weight", float(self.loss_kwargs["kl_weight"]), sync_dist=self.use_sync_dist)
        if not torch.isfinite(torch.as_tensor(means["loss"])):
            broken = [name for name, value in means.items() if not torch.isfinite(value)]
            raise FloatingPointError(
                f"expected a finite loss, found {', '.join(broken)} not finite in epoch "
                f"{self.current_epoch}; check the input for extreme values or lower the learning "
                "rate (plan_kwargs={'lr': 1e-4})"
            )

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's means over the held-out cells."""
        self._log_means("validation")

    def on_train_epoch_start(self) -> None:
        """Forget what the last epoch kept for scib-metrics."""
        self._training_epoch_outputs = None

    def on_validation_epoch_start(self) -> None:
        """Forget what the last epoch kept for scib-metrics."""
        self._validation_epoch_outputs = None

    def _keep_payload(self, stage: str, output: LossOutput) -> None:
        """Keep z, batch and labels where scvi.autotune asks for scib-metrics."""
        if self.module.extra_payload_autotune:
            self.prepare_scib_autotune(output.extra_metrics, stage)

    @torch.no_grad()
    def _add(self, mode: str, output: LossOutput) -> None:
        n = output.n_obs_minibatch
        values = {
            "loss": output.loss * n,
            "reconstruction_loss": output.reconstruction_loss_sum,
            "kl_local": output.kl_local_sum,
            "kl_global": output.kl_global_sum * n,
            **{k: v * n for k, v in output.extra_metrics.items() if v.ndim == 0},
        }
        sums = self._sums[mode]
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value.detach()
        sums["n"] = sums.get("n", 0.0) + n

    def _log_means(self, mode: str) -> dict[str, Tensor]:
        sums = self._sums[mode]
        n = sums.pop("n")
        means = {name: torch.as_tensor(value / n) for name, value in sums.items()}
        sums.clear()
        n_obs = self.n_obs_training or n
        elbo = means["reconstruction_loss"] + means["kl_local"] + means["kl_global"] / n_obs
        self.log(f"elbo_{mode}", elbo, sync_dist=self.use_sync_dist)
        for name, value in means.items():
            shown = "train_loss" if (name, mode) == ("loss", "train") else f"{name}_{mode}"
            shown = "validation_loss" if shown == "loss_validation" else shown
            self.log(shown, value, prog_bar=shown == "train_loss", sync_dist=self.use_sync_dist)
        return means


def check_plan_kwargs(plan_kwargs: Mapping[str, Any]) -> None:
    """Check that options of a plan exist: scvi-tools hands unknown ones to the loss.

    Raises
    ------
    TypeError
        If one does not.
    """
    parameters = {*signature(MixturePlan).parameters, *signature(TrainingPlan).parameters}
    known = sorted(parameters - {"module", "schedule", "kwargs", "loss_kwargs"})
    for name in plan_kwargs:
        if name not in known:
            raise TypeError(
                f"expected options of the training plan in plan_kwargs, found {name!r}; there are "
                f"{', '.join(known)}"
            )


def idle_weights(module: MixtureVAE) -> list[nn.Parameter]:
    """Weights that the present phase's loss does not depend on: in pre-training those of p(y, z|·).

    Parameters
    ----------
    module
        The module.
    """
    if not module.pretraining:
        return []
    style = ("style_posterior.", "style_prior.")  # these are trained from the first step
    return [
        weight
        for name, weight in module.prior.named_parameters()
        if weight.requires_grad and not name.startswith(style)
    ]
