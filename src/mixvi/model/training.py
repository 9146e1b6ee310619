"""Training: the one recipe for every data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scvi.model.base import UnsupervisedTrainingMixin

from mixvi.train import (
    DataSplitter,
    GuardComponents,
    KeepBest,
    MixturePlan,
    Schedule,
    StartComponents,
    default_epochs,
)

from .labels import LabelsMixin
from .merging import MergingMixin
from .style import StyleMixin

__all__ = ["TrainingMixin"]


class TrainingMixin(UnsupervisedTrainingMixin, StyleMixin, LabelsMixin, MergingMixin):
    """scvi-tools' training with this family's phases."""

    _training_plan_cls = MixturePlan
    _data_splitter_cls = DataSplitter
    merges_: bool

    def train(
        self,
        max_epochs: int | None = None,
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        *,
        train_size: float | None = None,
        validation_size: float | None = None,
        batch_size: int = 128,
        early_stopping: bool = True,
        pretrain_fraction: float = 0.6,
        overcluster_fraction: float = 0.24,
        warmup_fraction: float = 0.3,
        plan_kwargs: dict[str, Any] | None = None,
        callbacks: Sequence[Any] = (),
        datamodule: Any = None,
        **kwargs,
    ) -> None:
        """Train the model; with a GPU if there is one.

        First under N(0, I); then under 30 components or more, if fewer are wanted, that are merged
        to their number (:func:`mixvi.train.overcluster`); from there the model's own components
        start and everything trains jointly. Training a trained model again goes on jointly.

        Parameters
        ----------
        max_epochs
            Length of the run; by default from the number of cells
            (:func:`mixvi.train.default_epochs`).
        accelerator, devices
            As in Lightning: ``"auto"``, ``"cpu"``, ``"gpu"``, …
        train_size, validation_size
            Shares of the cells; by default 90 % are trained on. Cells without a label are held out
            first.
        batch_size
            Cells per step.
        early_stopping
            Stop when the held-out ELBO has not improved for a tenth of the run (10 epochs at
            least), and put the weights with the best held-out ELBO back at the end. Without
            held-out cells there is nothing to stop by: then the last weights are kept.
        pretrain_fraction
            Share of the run under N(0, I). Too little: components start in noise; longer than
            needed does not help.
        overcluster_fraction
            Share of the run under too many components. 0 starts from a normal mixture in the latent
            space of the first phase (:func:`mixvi.train.fit_start`); so do models with
            ``n_components="auto"``, whose many components are their own.
        warmup_fraction
            Share of the run over which the weight of the divergences grows from 0 to 1.
        plan_kwargs
            For :class:`mixvi.train.MixturePlan`, for example ``{"lr": 1e-3}``.
        callbacks
            Further Lightning callbacks.
        datamodule
            A Lightning data module, for a model that was made from a registry.
        **kwargs
            For scvi-tools' ``train`` and trainer.

        Raises
        ------
        ValueError
            If a fraction is out of range or ``adata`` is minified.
        FloatingPointError
            If the loss is not finite.
        """
        if self.minified_data_type is not None:
            raise ValueError(
                "expected an AnnData with counts, found a minified one; train before minifying"
            )
        n_obs = self.adata.n_obs if datamodule is None else getattr(datamodule, "n_obs", None)
        if max_epochs is None:
            if n_obs is None:
                raise ValueError(
                    "expected max_epochs or a datamodule with n_obs, found neither; pass max_epochs"
                )
            max_epochs = default_epochs(n_obs, batch_size)
        if self.is_trained:
            pretrain_fraction = overcluster_fraction = warmup_fraction = 0.0
        if self.merges_ or self.module.prior.n_components == 1:
            overcluster_fraction = 0.0
        schedule = Schedule.from_fractions(
            max_epochs, pretrain_fraction, overcluster_fraction, warmup_fraction
        )
        joint_from = schedule.joint_from
        callbacks = list(callbacks)
        if not self.is_trained:
            callbacks.append(StartComponents(joint_from, schedule.pretrain_epochs))
        if early_stopping:
            callbacks.append(KeepBest(from_epoch=max(joint_from, round(schedule.warmup_epochs))))
            kwargs.setdefault("early_stopping_warmup_epochs", joint_from)
            kwargs.setdefault("early_stopping_patience", max(10, round(0.1 * max_epochs)))
        callbacks.append(GuardComponents())  # after the best weights are back
        kwargs.setdefault("log_every_n_steps", 1)  # the plan logs by epoch; short runs are fine
        if datamodule is not None:
            kwargs["datamodule"] = datamodule
        if self.balances_:
            self._balance_labels(datamodule)
        if datamodule is None:
            splitting = kwargs.get("datasplitter_kwargs") or {}
            kwargs["datasplitter_kwargs"] = {"n_labels": self.module.n_labels, **splitting}
        self.module.train()  # a trained model was left in evaluation mode
        super().train(
            max_epochs=max_epochs,
            accelerator=accelerator,
            devices=devices,
            train_size=train_size,
            validation_size=validation_size,
            batch_size=batch_size,
            early_stopping=early_stopping,
            plan_kwargs={"schedule": schedule, **(plan_kwargs or {})},
            callbacks=callbacks,
            **kwargs,
        )
        loader = None if datamodule is None else datamodule.train_dataloader()
        self._measure_style_use(loader)
        if self.merges_:
            self.merge_components(dataloader=loader)
