"""How long to train, and what happens when, as fractions of the run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from mixvi._numbers import check_number

__all__ = ["Schedule", "default_batch_size", "default_epochs"]


def default_epochs(n_obs: int, batch_size: int) -> int:
    """Epochs that a data set needs: cell visits grow with its square root.

    160,000 visits for 4,000 cells, 2.5 million for a million; never fewer than 1,000 optimizer
    steps or 2 epochs.

    Parameters
    ----------
    n_obs
        Number of cells.
    batch_size
        Cells per step.
    """
    visits = _visits(n_obs)
    steps_per_epoch = math.ceil(n_obs / batch_size)
    return max(2, math.ceil(visits / n_obs), math.ceil(1_000 / steps_per_epoch))


def default_batch_size(n_obs: int) -> int:
    """Cells per step: 128, and 256 or 512 where that leaves a run of default length 2,000 steps.

    256 from 41,000 cells, 512 from 164,000. Of 45,000 simulated cells all three find the same
    clusters, in two thirds and three fifths of the time.

    Parameters
    ----------
    n_obs
        Number of cells.
    """
    sizes = [size for size in (512, 256) if _visits(n_obs) >= 2_000 * size]
    return sizes[0] if sizes else 128


def _visits(n_obs: int) -> float:
    return 160_000 * math.sqrt(n_obs / 4_000)


@dataclass(frozen=True)
class Schedule:
    """The phases of a run.

    Under N(0, I) first, until the latent space has taken shape; then under more components than
    wanted, which are merged to start the components from; then everything trains jointly. A
    mixture that is trained from scratch leaves most of its components unused.

    Parameters
    ----------
    max_epochs
        Length of the run.
    pretrain_epochs
        Epochs under N(0, I); 0 trains jointly from the first step.
    joint_from
        First epoch of the joint training. In between the mixture is too fine.
    warmup_epochs
        Epochs over which the weight of the divergences grows from 0 to 1.
    """

    max_epochs: int
    pretrain_epochs: int
    joint_from: int
    warmup_epochs: float

    @classmethod
    def from_fractions(
        cls, max_epochs: int, pretrain: float, overcluster: float, warmup: float
    ) -> Schedule:
        """Make a schedule from shares of the run.

        Parameters
        ----------
        max_epochs
            Length of the run.
        pretrain, overcluster
            Shares of the run under N(0, I) and under too many components; together in [0, 1).
        warmup
            Share of the run over which the divergences' weight grows, in [0, 1].

        Raises
        ------
        ValueError
            If a share is out of range or the run has no epoch.
        """
        if max_epochs < 1:
            raise ValueError(f"expected max_epochs of at least 1, found {max_epochs}; pass more")
        check_number("pretrain_fraction", pretrain, high=1.0)
        check_number("overcluster_fraction", overcluster, high=1.0)
        if not pretrain + overcluster < 1:
            raise ValueError(
                "expected pretrain_fraction + overcluster_fraction below 1, found "
                f"{pretrain} + {overcluster}; something must be left to train jointly"
            )
        if not (isinstance(warmup, Real) and 0 <= warmup <= 1):
            raise ValueError(
                f"expected warmup_fraction in [0, 1], found {warmup!r}; pass a share of the run"
            )
        pretrain_epochs = min(round(pretrain * max_epochs), max_epochs - 1)
        joint_from = min(round((pretrain + overcluster) * max_epochs), max_epochs - 1)
        return cls(max_epochs, pretrain_epochs, joint_from, warmup * max_epochs)

    def kl_weight(self, step: int, steps_per_epoch: int) -> float:
        """β at an optimizer step: a ramp from 0 to 1, then 1."""
        ramp = self.warmup_epochs * steps_per_epoch
        return min(1.0, step / ramp) if ramp else 1.0
