"""Training: the one recipe for every data set."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from numbers import Real
from os import PathLike
from typing import Any

from anndata import AnnData
from scvi.model.base import UnsupervisedTrainingMixin

from mixvi._numbers import check_at_least
from mixvi.train import (
    AllRanks,
    DataSplitter,
    GuardComponents,
    KeepBest,
    LongRun,
    MixturePlan,
    Runner,
    Schedule,
    StartComponents,
    StopAtNaN,
    default_batch_size,
    default_epochs,
    for_many_ranks,
)
from mixvi.train.plan import check_plan_kwargs

from .checks import check_n_components
from .labels import LabelsMixin
from .mapping import MappingMixin
from .style import StyleMixin

__all__ = ["TrainingMixin"]

FEW = 10  # cells of which none are held out to stop by


class TrainingMixin(UnsupervisedTrainingMixin, StyleMixin, LabelsMixin, MappingMixin):
    """scvi-tools' training with this family's phases."""

    _training_plan_cls = MixturePlan
    _data_splitter_cls = DataSplitter
    _train_runner_cls = Runner
    merges_: bool
    is_trained_: bool

    def train(
        self,
        max_epochs: int | None = None,
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        *,
        train_size: float | None = None,
        validation_size: float | None = None,
        batch_size: int | None = None,
        early_stopping: bool = True,
        pretrain_fraction: float = 0.6,
        overcluster_fraction: float = 0.24,
        warmup_fraction: float = 0.3,
        n_samples_per_label: int | None = None,
        checkpoint_dir: str | PathLike[str] | None = None,
        checkpoint_minutes: float = 10.0,
        resume: bool = False,
        plan_kwargs: dict[str, Any] | None = None,
        callbacks: Sequence[Any] = (),
        datamodule: Any = None,
        **kwargs,
    ) -> None:
        """Train the model; with a GPU if there is one.

        First under N(0, I); then under 30 components or more, if fewer are wanted, that are merged
        to their number (:func:`mixvi.train.overcluster`); from there the model's own components
        start and everything trains jointly. Training a trained model again goes on jointly; that of
        a query (:meth:`load_query_data`) changes nothing but what its own covariate categories
        have. At the end the novelty of held-out cells is taken as the scale for that of others.

        Parameters
        ----------
        max_epochs
            Length of the run; by default from the number of cells
            (:func:`mixvi.train.default_epochs`).
        accelerator, devices
            As in Lightning: ``"auto"``, ``"cpu"``, ``"gpu"``, …; more than one device is
            ``strategy="ddp"``: a process for each, which trains on its share of the cells.
        train_size, validation_size
            Shares of the cells; by default 90 % are trained on. Cells without a label are held out
            first.
        batch_size
            Cells per step and process; by default from the number of cells, 128 up to 41,000
            (:func:`mixvi.train.default_batch_size`).
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
        n_samples_per_label
            Cells of every label that an epoch sees with it, on average; the others of that label
            count as cells without one in this epoch, and are drawn anew in the next. Keeps frequent
            types from outweighing rare ones. By default all labels are always seen.
        checkpoint_dir, checkpoint_minutes
            Directory of a checkpoint, and the time between two
            (:class:`mixvi.train.LongRun`). It is also written when the run is interrupted, by an
            exception, SIGTERM or SIGINT.
        resume
            Go on from the checkpoint, if there is one: on the CPU to the very weights that the run
            would have had without the interruption. Everything else must be passed as before.
        plan_kwargs
            For :class:`mixvi.train.MixturePlan`, for example ``{"lr": 1e-3}``.
        callbacks
            Further Lightning callbacks.
        datamodule
            A Lightning data module, for a model that was made from a registry.
        **kwargs
            For scvi-tools' ``train`` and trainer, for example ``precision="bf16-mixed"``: the
            networks' matrix products in bfloat16, what is inferred and the objective in float32.

        Raises
        ------
        ValueError
            If a fraction is out of range, ``adata`` is minified, there are more components than
            cells, or the checkpoint is another run's.
        FloatingPointError
            If the loss is not finite.
        """
        if batch_size is not None:
            check_at_least(1, batch_size=batch_size)
        if max_epochs is not None:
            check_at_least(1, max_epochs=max_epochs)
        if self.minified_data_type is not None:
            raise ValueError(
                "expected an AnnData with counts, found a minified one; train before minifying"
            )
        if train_size is not None and not (  # scvi-tools takes 0 for None
            isinstance(train_size, Real) and 0 < train_size <= 1
        ):
            raise ValueError(
                f"expected 0 < train_size ≤ 1, found {train_size!r}; 1 trains on all cells"
            )
        check_plan_kwargs(plan_kwargs or {})
        is_query = self.query_weights_ is not None
        if is_query:
            plan_kwargs = self._query_plan(plan_kwargs)
            if plan_kwargs is None:
                return
        elif self.adata is not None:
            check_n_components(self.module.prior.n_components, self.adata.n_obs)
        if self.adata is not None:
            self._check_matrix(self.adata)  # it may have been normalized in place since
        n_obs = self.adata.n_obs if datamodule is None else getattr(datamodule, "n_obs", None)
        if batch_size is None:  # mini-batches of a datamodule have a size of their own
            batch_size = default_batch_size(n_obs if n_obs and datamodule is None else 1)
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
        if datamodule is None and self.adata.n_obs < FEW and train_size is None:
            train_size = 1.0
        if train_size == 1.0:  # nothing to stop by
            early_stopping = False
        joint_from = schedule.joint_from
        # the user's come first: where scvi.autotune scores by scib-metrics it counts on that
        callbacks = [*callbacks, AllRanks(), StopAtNaN()]
        if not self.is_trained:
            callbacks.append(StartComponents(joint_from, schedule.pretrain_epochs))
        if early_stopping:
            callbacks.append(KeepBest(from_epoch=max(joint_from, round(schedule.warmup_epochs))))
            kwargs.setdefault("early_stopping_warmup_epochs", joint_from)
            kwargs.setdefault("early_stopping_patience", max(10, round(0.1 * max_epochs)))
        if not is_query:
            callbacks.append(GuardComponents())  # after the best weights are back
        kwargs.setdefault("load_sparse_tensor", True)  # no effect on a dense matrix
        kwargs.setdefault("log_every_n_steps", 1)  # the plan logs by epoch; short runs are fine
        if datamodule is not None:
            kwargs["datamodule"] = datamodule
        if self.balances_ and not is_query:
            self._balance_labels(datamodule)
        self._thin_labels(n_samples_per_label, datamodule)
        if datamodule is None:
            splitting = kwargs.get("datasplitter_kwargs") or {}
            kwargs["datasplitter_kwargs"] = {"n_labels": self.module.n_labels, **splitting}
        long_run = LongRun(
            checkpoint_dir,
            checkpoint_minutes,
            resume=resume,
            run={
                "model": repr((type(self).__name__, self.init_params_["non_kwargs"])),
                "cells": n_obs,
                "names": _digest(self.adata) if checkpoint_dir is not None else None,
                "max_epochs": max_epochs,
                "batch_size": batch_size,
            },
        )
        for_many_ranks(devices, early_stopping, callbacks, kwargs)
        if long_run.callbacks:
            callbacks = [long_run.callbacks[0], *callbacks, long_run.callbacks[1]]
        if long_run.ckpt_path is not None:
            kwargs["ckpt_path"] = long_run.ckpt_path
        self.module.train()  # a trained model was left in evaluation mode
        # scvi-tools begins a history for models that are not trained yet only
        self.is_trained_ = self.is_trained_ and self.history_ is not None
        try:
            with warnings.catch_warnings(), long_run.prepare(self.module):
                if is_query:  # everything but the new columns rests, and one cell is enough
                    warnings.filterwarnings("ignore", "Found .* in eval mode")
                    warnings.filterwarnings("ignore", "Last batch will have a small size")
                warnings.filterwarnings("ignore", "early_stopping was automatically disabled")
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
        finally:
            self.is_trained_ = self.is_trained_ or is_query
        if is_query:
            self._grow()
            return
        loader = None if datamodule is None else datamodule.train_dataloader()
        self._measure_style_use(loader)
        if self.merges_:
            self.merge_components(dataloader=loader)
        if getattr(datamodule, "n_val", 0):
            loader = datamodule.val_dataloader()
        self.calibrate_novelty(dataloader=loader)
        if datamodule is None:
            self._calibrate_trained()


def _digest(adata: AnnData | None) -> str | None:
    """Which cells and genes these are: another choice of genes may have the same number."""
    if adata is None:
        return None
    names = "\n".join([*map(str, adata.obs_names), "", *map(str, adata.var_names)])
    return hashlib.sha256(names.encode("utf-8", "surrogatepass")).hexdigest()[:12]
