"""One mini-batch of cells under another condition."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixvi.distributions import CellDistribution
from mixvi.distributions.sparse import dense

from .anchor import anchored, anchored_draw
from .asked import Asked
from .readout import log_normalized
from .shift import Shift
from .shifts import LogScale, Reference, ShiftMixin

__all__ = ["ShownMixin"]

QUANTILES = (0.05, 0.95)


@dataclass(frozen=True)
class LogCells:
    """Log-normalized expression of cells, its scores, and what the log scale was fitted to."""

    y: np.ndarray
    scores: np.ndarray
    scale: LogScale


@dataclass(frozen=True)
class Cells:
    """Cells of a mini-batch, and where they go.

    Attributes
    ----------
    outputs
        Of the inference.
    z, c, moved, log_depth, x
        Latent codes, covariates as they are and as asked for, depth, measured expression.
    anchor
        Share of the own expression, cells × 1; 0 for cells that are in the target.
    codes
        Categories of the named covariates.
    weights
        Responsibilities of the clusters.
    shift
        z' − z.
    log, score_shift
        Log-normalized expression, where it is asked for, and what is added to the scores of its
        principal components; ``None`` where only z is moved.
    """

    outputs: dict[str, Any]
    z: Tensor
    c: Tensor
    moved: Tensor
    log_depth: Tensor
    x: Tensor | None
    anchor: Tensor
    codes: np.ndarray
    weights: np.ndarray
    shift: Tensor
    log: LogCells | None = None
    score_shift: np.ndarray | None = None


class ShownMixin(ShiftMixin):
    """What is computed for every cell."""

    def _shown(self, tensors: dict[str, Tensor], asked: Asked) -> dict[str, Tensor]:
        """Everything about the cells of one mini-batch."""
        cells = self._moving(tensors, asked)
        expression, source = self._expression(cells, asked)
        result = {
            "expression": expression,
            "source": source,
            "latent": cells.z + cells.shift,
            "source_latent": cells.z,
        }
        if asked.draw_counts:
            result["counts"] = anchored_draw(*self._decoded(cells), cells.x, cells.anchor)
        if asked.n_samples:
            draws = [
                self._expression(self._drawn(cells, asked, sample), asked)[0]
                for sample in range(asked.n_samples)
            ]
            result |= _spread(torch.stack(draws, 1))
        return result

    def _moving(self, tensors: dict[str, Tensor], asked: Asked) -> Cells:
        """Cells and where they go."""
        module = self.module
        tensors = {name: value.to(self.device) for name, value in tensors.items()}
        inputs = module._get_inference_input(tensors)
        outputs = module.inference(**inputs)
        z, c = outputs["qz"].loc, outputs["c"]
        codes = self._codes(tensors)[:, list(asked.codes)]
        own = (codes == list(asked.codes.values())).all(1)
        log_scale = asked.scale == "log"
        x = dense(inputs["x"]) if asked.anchor or log_scale else None
        cells = Cells(
            outputs=outputs,
            z=z,
            c=c,
            moved=self._moved(c, asked.codes),
            log_depth=module._get_generative_input(tensors, outputs)["log_depth"],
            x=x,
            anchor=torch.as_tensor(np.where(own, 0, asked.anchor)[:, None]).to(z),
            codes=codes,
            weights=self._cluster_probs(outputs, tensors),
            shift=torch.zeros_like(z),
        )
        fitted = self._shown_by(asked).log if log_scale else None
        if fitted is not None and x is not None:
            depth = outputs["library"].exp().flatten().cpu().numpy()
            y = log_normalized(x.cpu().numpy(), depth)
            log = LogCells(y.toarray(), fitted.path.encode(y), fitted)
            cells = replace(cells, log=log)
        if asked.route == "prior":
            target = self._prior_means(cells)
            stays = torch.as_tensor(own, device=z.device)[:, None]
            return replace(cells, shift=torch.where(stays, 0, target - z))
        if asked.route == "shift":
            return self._shifted(cells, asked)
        return cells

    def _shown_by(self, asked: Asked) -> Reference:
        """The reference, read when it is first needed."""
        if asked.cells is None:
            asked.cells = self._reference(asked.reference, log_scale=asked.scale == "log")
        return asked.cells

    def _prior_means(self, cells: Cells) -> Tensor:
        """E p(z | w, y, c'), the components by their responsibilities."""
        prior: Any = self.module.prior  # one whose components see the covariates
        outputs = cells.outputs
        w = prior.style(outputs["h"]).loc if prior.n_style else None
        probs = prior.responsibilities(outputs["qz"], cells.c)
        return torch.einsum("nk,nkd->nd", probs, prior.conditional_means(w, cells.moved))

    def _shifted(self, cells: Cells, asked: Asked, sample: int | None = None) -> Cells:
        """Cells with their clusters' shifts, at their means or drawn."""
        shift = np.zeros(cells.z.shape)
        scores = None if cells.log is None else np.zeros(cells.log.scores.shape)
        for source in sorted({tuple(row) for row in cells.codes.tolist()}):
            if source == tuple(asked.codes.values()):
                continue
            if source not in asked.shifts:
                names = dict(zip(asked.codes, source, strict=True))
                reference = self._shown_by(asked)
                asked.shifts[source] = self._cluster_shifts(reference, names, asked.codes)
            found = asked.shifts[source]
            seed = None if sample is None else [asked.seed, sample, *source]
            weights = np.where((cells.codes == source).all(1)[:, None], cells.weights, 0)
            shift += weights @ _one_of(found.shift, seed)
            if scores is not None and found.linear is not None:
                scores += weights @ _one_of(found.linear, seed)
        return replace(cells, shift=torch.as_tensor(shift).to(cells.z), score_shift=scores)

    def _drawn(self, cells: Cells, asked: Asked, sample: int) -> Cells:
        """Cells with z and the shifts drawn; components follow where z goes only by their mean."""
        if asked.route == "shift":
            cells = self._shifted(cells, asked, sample)
        return replace(cells, z=cells.outputs["qz"].sample())

    def _decoded(self, cells: Cells) -> tuple[CellDistribution, CellDistribution]:
        """p(x | z, c) and p(x | z', c')."""
        generative, log_depth = self.module.generative, cells.log_depth
        after = generative(cells.z + cells.shift, log_depth, cells.moved)["px"]
        return generative(cells.z, log_depth, cells.c)["px"], after

    def _expression(self, cells: Cells, asked: Asked) -> tuple[Tensor, Tensor]:
        """Expression after the change, and the ordinary reconstruction."""
        if cells.log is not None:
            return self._log_expression(cells, cells.log)
        counts = self.module.likelihood.is_count
        unit: Tensor | float = 1.0
        if counts and asked.library_size != "latent":
            unit = asked.library_size / cells.log_depth.exp()
        before, after = self._decoded(cells)
        shown = anchored(before, after, cells.x, cells.anchor, counts=counts)
        return unit * shown, unit * before.mean

    def _log_expression(self, cells: Cells, log: LogCells) -> tuple[Tensor, Tensor]:
        """The same on the log scale, the mean of the two paths."""
        readout, path = log.scale.readout, log.scale.path
        before = readout(self._features(cells.z, cells.c))
        after = readout(self._features(cells.z + cells.shift, cells.moved))
        if cells.score_shift is not None:
            before = (before + path.decode(log.scores)) / 2
            after = (after + path.decode(log.scores + cells.score_shift)) / 2
        anchor = cells.anchor.cpu().numpy()
        shown = anchor * log.y + (1 - anchor) * before + (after - before)
        return torch.as_tensor(shown.clip(min=0)), torch.as_tensor(before.clip(min=0))


def _one_of(shift: Shift, seed: list[int] | None) -> np.ndarray:
    """Mean of the shifts, or a draw that is the same for every mini-batch."""
    if seed is None:
        return shift.mean
    normal = np.random.default_rng(seed).standard_normal(shift.mean.shape)
    return shift.mean + shift.variance**0.5 * normal


def _spread(draws: Tensor) -> dict[str, Tensor]:
    """Standard deviation and quantiles of draws, cells × samples × genes."""
    levels = torch.tensor(QUANTILES, dtype=draws.dtype, device=draws.device)
    # cell by cell: torch.quantile takes 16 million numbers at most
    quantiles = torch.stack([cell.quantile(levels, 0) for cell in draws])
    lower, upper = quantiles.unbind(1)
    return {"std": draws.std(1, correction=0), "lower": lower, "upper": upper}
