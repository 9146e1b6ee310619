"""How fast, how large: training and labels against scvi-tools, on the same cells, interleaved.

``python -m benchmarks.speed`` checks first that both count the same likelihood, then measures;
``python -m benchmarks.table`` makes the table. Seconds depend on the machine and on what else it
does: only the ratios of one run mean something. ``--smoke`` runs everything once on few cells.
"""

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import anndata as ad
import numpy as np
import scvi
import torch

from benchmarks.speed_cells import check_parity, many_cells, peak_memory
from benchmarks.store import Row, add_row, provenance, read_rows

logger = logging.getLogger(__name__)

RESULTS = Path("benchmarks/results/speed.json")
KEYS = ("what", "setting", "method")
MODELS = ("CGMDVAE", "RMVE")
Train = Callable[[int], Any]


@dataclass(frozen=True)
class Sizes:
    """What is measured on.

    Attributes
    ----------
    n_cells
        Cells of the comparisons.
    batch_sizes
        Cells per step.
    annotated
        Numbers of cells whose latent and clusters are asked for.
    n_components
        Few and many.
    growing
        Numbers of cells for the cost per cell.
    n_large
        Cells of the run whose memory is looked at.
    repeats
        Pairs of every comparison.
    methods
        Whose memory and growth are measured.
    """

    n_cells: int = 10_000
    batch_sizes: tuple[int, ...] = (128, 512, 1024)
    annotated: tuple[int, ...] = (10_000, 100_000)
    n_components: tuple[int, int] = (10, 500)
    growing: tuple[int, ...] = (10_000, 30_000, 100_000, 300_000)
    n_large: int = 100_000
    repeats: int = 5
    methods: tuple[str, ...] = ("SCVI", *MODELS)


SMOKE = Sizes(600, (128,), (600,), (5, 40), (300, 600), 600, 1)


@dataclass(frozen=True)
class Cost:
    """Seconds of a job, by the clock and of the processor."""

    wall: float
    cpu: float


def cost(job: Callable[[], Any]) -> Cost:
    """Run a job and time it."""
    wall, cpu = perf_counter(), process_time()
    job()
    return Cost(perf_counter() - wall, process_time() - cpu)


def of_one_epoch(train: Train, epochs: tuple[int, int] = (1, 3)) -> Cost:
    """What an epoch costs: the difference of two runs, without what each run costs once.

    At least a microsecond: on few cells the difference may be lost in the noise.
    """
    short, long = (cost(lambda n=n: train(n)) for n in epochs)
    n = epochs[1] - epochs[0]
    return Cost(max((long.wall - short.wall) / n, 1e-6), max((long.cpu - short.cpu) / n, 1e-6))


def compared(
    jobs: dict[str, Callable[[], Cost]], reference: str, repeats: int
) -> dict[str, dict[str, float]]:
    """Seconds of every job, and how often it fits into those of the reference.

    The jobs run one after the other, in turn forwards and backwards: what slows the machine for a
    while slows all of them. A ratio is taken within one round.

    Parameters
    ----------
    jobs
        Jobs by name.
    reference
        One of them.
    repeats
        Rounds.

    Returns
    -------
    By name: median ``seconds``; median ``ratio``, its ``low`` and ``high`` over the rounds, and
    ``cpu_ratio``.
    """
    rounds: list[dict[str, Cost]] = []
    for i in range(repeats):
        names = list(jobs) if i % 2 == 0 else list(jobs)[::-1]
        rounds.append({name: jobs[name]() for name in names})
    found = {}
    for name in jobs:
        ratios = [costs[reference].wall / costs[name].wall for costs in rounds]
        found[name] = {
            "seconds": float(np.median([costs[name].wall for costs in rounds])),
            "ratio": float(np.median(ratios)),
            "low": min(ratios),
            "high": max(ratios),
            "cpu_ratio": float(
                np.median([costs[reference].cpu / costs[name].cpu for costs in rounds])
            ),
        }
    return found


def model(name: str, adata: ad.AnnData, n_components: int = 10) -> Any:
    """An untrained model with one hidden layer of 128 and ten latent dimensions."""
    from mixvi.model import CGMDVAE, RMVE

    if name == "SCVI":
        scvi.model.SCVI.setup_anndata(adata)
        return scvi.model.SCVI(adata, gene_likelihood="nb")
    cls = {"CGMDVAE": CGMDVAE, "RMVE": RMVE}[name]
    cls.setup_anndata(adata)
    return cls(adata, n_components=n_components)


def trainer(
    name: str, adata: ad.AnnData, batch_size: int, accelerator: str, n_components: int = 10
) -> Train:
    """Train a new model for some epochs; ours jointly from the first, the dearest phase."""
    ours = {"pretrain_fraction": 0.0, "overcluster_fraction": 0.0} if name != "SCVI" else {}

    def train(max_epochs: int) -> None:
        model(name, adata, n_components).train(
            max_epochs=max_epochs,
            batch_size=batch_size,
            accelerator=accelerator,
            early_stopping=False,
            enable_progress_bar=False,
            **ours,
        )

    return train


def training(adata: ad.AnnData, sizes: Sizes, accelerator: str) -> list[Row]:
    """Cells per second of training, at several batch sizes."""
    rows = []
    for batch_size in sizes.batch_sizes:
        jobs = {
            name: lambda name=name, size=batch_size: of_one_epoch(
                trainer(name, adata, size, accelerator)
            )
            for name in ("SCVI", *MODELS)
        }
        for name, found in compared(jobs, "SCVI", sizes.repeats).items():
            per_second = round(adata.n_obs / found["seconds"])
            rows.append(_row("training", f"batch {batch_size}", name, found, per_second))
    return rows


def inference(adata: ad.AnnData, sizes: Sizes, accelerator: str) -> list[Row]:
    """Cells per second of the latent, and for ours its clusters, probabilities and novelty, too."""
    rows = []
    for n_cells in sizes.annotated:
        cells = many_cells(adata, n_cells)
        models = {name: model(name, cells) for name in ("SCVI", *MODELS)}
        for made in models.values():
            made.train(1, accelerator=accelerator, batch_size=1024, enable_progress_bar=False)
        for batch_size in (None, *sizes.batch_sizes):
            jobs = {
                name: lambda made=made, size=batch_size: cost(
                    lambda: (
                        made.get_latent_representation(batch_size=size)
                        if isinstance(made, scvi.model.SCVI)
                        else made.annotate(batch_size=size)
                    )
                )
                for name, made in models.items()
            }
            chosen = "defaults" if batch_size is None else f"batch {batch_size}"
            setting = f"{n_cells:,} cells, {chosen}"
            for name, found in compared(jobs, "SCVI", sizes.repeats).items():
                per_second = round(n_cells / found["seconds"])
                rows.append(_row("inference", setting, name, found, per_second))
    return rows


def components(adata: ad.AnnData, sizes: Sizes, accelerator: str) -> list[Row]:
    """What a step costs with many components; the ratio is that of many to few."""
    rows = []
    for name in MODELS:
        # trained once: starting the components is not part of a step
        made = {n: model(name, adata, n) for n in sizes.n_components}
        trains = {str(n): _again(one, accelerator) for n, one in made.items()}
        jobs = {n: lambda train=train: of_one_epoch(train, (1, 6)) for n, train in trains.items()}
        few, many = (str(n) for n in sizes.n_components)
        found = compared(jobs, many, sizes.repeats)[few]
        rows.append(_row("components", f"{few} → {many}", name, found))
    return rows


def _again(made: Any, accelerator: str, batch_size: int = 128) -> Train:
    """Train a model, then go on as often as asked."""

    def train(max_epochs: int) -> None:
        made.train(
            max_epochs=max_epochs,
            batch_size=batch_size,
            accelerator=accelerator,
            early_stopping=False,
            enable_progress_bar=False,
        )

    train(3)
    return train


def growth(adata: ad.AnnData, sizes: Sizes, accelerator: str) -> list[Row]:
    """Cost of an epoch as the cells become more; the ratio is a slope on log scales.

    Every pair of runs differs by as many visits of cells as the largest set has cells: of few
    cells one epoch would be lost in the noise.
    """
    rows = []
    sets = [many_cells(adata, n) for n in sizes.growing]
    epochs = [max(1, sizes.growing[-1] // n) for n in sizes.growing]
    for name in sizes.methods:
        if name == "SCVI":
            continue
        costs = [
            of_one_epoch(trainer(name, cells, 512, accelerator), (1, 1 + more))
            for cells, more in zip(sets, epochs, strict=True)
        ]
        found = {
            "seconds": costs[-1].wall,
            "ratio": _slope(sizes.growing, [each.wall for each in costs]),
            "cpu_ratio": _slope(sizes.growing, [each.cpu for each in costs]),
        }
        setting = f"{sizes.growing[0]:,} → {sizes.growing[-1]:,} cells"
        rows.append(_row("growth", setting, name, found))
    return rows


def _slope(n_cells: Sequence[int], seconds: Sequence[float]) -> float:
    """Of a line through both on log scales."""
    return float(np.polyfit(np.log(n_cells), np.log(seconds), 1)[0])


def labels(adata: ad.AnnData, sizes: Sizes, accelerator: str) -> list[Row]:
    """Seconds for the clusters of a million encoded cells, 30 components."""
    n = 1_000_000 if sizes.n_cells > 1_000 else 10_000
    rows = []
    for name in MODELS:
        made = model(name, adata, 30)
        z, c = torch.randn(4096, made.module.n_latent), torch.zeros(4096, 0)
        with torch.inference_mode():
            seconds = cost(
                lambda made=made, z=z, c=c: [
                    made.module.prior.assignment(z, c).logits.argmax(-1)
                    for _ in range(-(-n // 4096))
                ]
            )
        rows.append(_row("labels", f"{n:,} encoded cells", name, {"seconds": seconds.wall}))
    return rows


def memory(adata: ad.AnnData, sizes: Sizes, accelerator: str) -> list[Row]:
    """Largest memory of a training run beyond the interpreter's, in sizes of the count matrix."""
    rows = []
    for name in sizes.methods:
        start = perf_counter()
        ratio, matrix = peak_memory(name, adata, sizes.n_large)
        found = {"seconds": perf_counter() - start, "ratio": ratio}
        setting = f"{sizes.n_large:,} cells ({matrix / 2**30:.2f} GiB)"
        rows.append(_row("memory", setting, name, found))
    return rows


MEASURES = {
    measure.__name__: measure
    for measure in (training, inference, components, growth, labels, memory)
}


def _row(
    what: str, setting: str, method: str, found: dict[str, float], cells_per_second: int = 0
) -> Row:
    figures = {key: round(value, 4) for key, value in found.items()}
    speed = {"cells_per_second": cells_per_second} if cells_per_second else {}
    return {"what": what, "setting": setting, "method": method, **figures, **speed}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--data", type=Path, help="an .h5ad of counts [simulated cells]")
    parser.add_argument("--what", default=",".join(MEASURES), help="comma-separated [%(default)s]")
    parser.add_argument("--cells", type=int, help="cells of the comparisons [10,000]")
    parser.add_argument("--large", type=int, help="cells of the memory run [100,000]")
    parser.add_argument("--methods", help="for memory and growth, comma-separated [all]")
    parser.add_argument("--repeats", type=int, help="rounds of every comparison [5]")
    parser.add_argument("--threads", type=int, default=1, help="of torch [%(default)s]")
    parser.add_argument("--accelerator", default="cpu", help="cpu or gpu [%(default)s]")
    parser.add_argument("--smoke", action="store_true", help="everything once, on few cells")
    parser.add_argument("--redo", action="store_true", help="measure again what is there")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    asked = {"n_cells": options.cells, "n_large": options.large, "repeats": options.repeats}
    if options.methods is not None:
        asked["methods"] = tuple(options.methods.split(","))
    base = SMOKE if options.smoke else Sizes()
    sizes = Sizes(**{**vars(base), **{k: v for k, v in asked.items() if v is not None}})
    source = None if options.data is None else ad.read_h5ad(options.data)
    cells = many_cells(source, sizes.n_cells)
    check_parity(cells)
    for what in options.what.split(","):
        if any(row["what"] == what for row in read_rows(options.output)) and not options.redo:
            continue
        for row in MEASURES[what](cells, sizes, options.accelerator):
            row |= {"threads": options.threads, "on": options.accelerator}
            row |= {"source": options.data.stem if options.data else "simulated"}
            add_row(options.output, row | provenance(), KEYS)
            logger.info(
                "%(what)s %(setting)s %(method)s: %(figure)s",
                row | {"figure": row.get("ratio", row["seconds"])},
            )


if __name__ == "__main__":
    main()
