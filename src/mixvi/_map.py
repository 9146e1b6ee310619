"""``mixvi map``: new cells on a reference."""

from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from mixvi import tl
from mixvi._arguments import (
    Accelerator,
    check_accelerator,
    column,
    given,
    number_or_auto,
    refuse_existing,
    refuse_unwritable,
)
from mixvi._console import only_our_noise, print_clusters, refuse, refusing, working
from mixvi._files import replacing
from mixvi._input import read, write
from mixvi._keys import Keys
from mixvi._report import Page
from mixvi.report import write_report
from mixvi.tl.transfer import default_key

__all__ = ["map_cells"]


def map_cells(
    path: Annotated[Path, typer.Argument(metavar="QUERY.h5ad", help="New cells × genes.")],
    reference: Annotated[
        Path,
        typer.Option(
            metavar="DIR|FILE.h5ad",
            help="A model (`mixvi cluster --model-dir`), which stays as it is; or labeled cells, "
            "to train on both.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The annotated .h5ad to write.")],
    labels_key: Annotated[
        str | None, column("Labels of the reference, where it is a file of cells.")
    ] = None,
    unlabeled_category: Annotated[
        str | None, column("The value in --labels-key that means: not known.")
    ] = None,
    batch_key: Annotated[
        str | None, column("Batch in both files, where the reference is a file of cells.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Layer with the counts in both.  [default: X]")
    ] = None,
    n_new_components: Annotated[
        str,
        typer.Option(
            metavar="K", help="Groups to make of cells that the model does not know, or auto."
        ),
    ] = "0",
    false_alarm_rate: Annotated[
        float, typer.Option(help="Share of known cells that may be called new.")
    ] = 0.05,
    n_models: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Models to train and average over, where the reference is a file of cells.  "
            "[default: 3]",
        ),
    ] = None,
    join: Annotated[
        bool, typer.Option("--join", help="Write reference and query in one file.")
    ] = False,
    max_epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data.")] = None,
    accelerator: Annotated[Accelerator, typer.Option(help="Where to train.")] = Accelerator.auto,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same result.")] = 0,
    key_added: Annotated[
        str | None,
        typer.Option(help="Prefix of everything written.  [default: the labels' column + _pred]"),
    ] = None,
    report: Annotated[Path | None, Page] = None,
    force: Annotated[
        bool, typer.Option("--force", "--overwrite", help="Replace existing outputs.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")
    ] = False,
) -> None:
    """Put new cells on a reference: labels, and which cells it does not know.

    Writes the label of every cell, its probability, a novelty score and whether that is above the
    threshold for known cells, next to everything that was in the file.

    Example: `mixvi map query.h5ad --reference atlas/ -o mapped.h5ad`
    """
    start = perf_counter()
    n_new = number_or_auto(n_new_components, "--n-new-components", least=0)
    refuse_existing([output, report], inputs=[path, reference], force=force)
    check_accelerator(accelerator)
    cells = read(path)
    known: Any = read(reference) if reference.is_file() else reference
    if reference.is_file() and labels_key is None:
        refuse(
            "expected --labels-key with a file of cells as --reference, found none; name the "
            "column with its labels, or pass the directory of a model"
        )
    with ExitStack() as pages, ExitStack() as outputs:
        try:  # before the work, not after
            page = pages.enter_context(replacing(report)) if report else None
            h5ad = outputs.enter_context(replacing(output))
        except OSError as error:
            refuse_unwritable([output, report], error)
        outputs.enter_context(refusing(ValueError, KeyError, TypeError, OSError))
        outputs.enter_context(only_our_noise(bars=not quiet))
        key = key_added or default_key(known, labels_key)
        joined = tl.transfer(
            cells,
            known,
            labels_key,
            batch_key=batch_key,
            layer=layer,
            unlabeled_category=unlabeled_category,
            n_new_components=n_new,
            false_alarm_rate=false_alarm_rate,
            n_models=n_models,
            key_added=key,
            train_kwargs=given({"max_epochs": max_epochs})
            | {"accelerator": str(accelerator), "enable_progress_bar": not quiet},
            join=join,
            rng=seed,
        )
        result = cells if joined is None else joined
        write(result, h5ad)
        outputs.close()  # the cells are there, whatever becomes of the page
        if page is not None:
            with only_our_noise(), working("drawing the report", shown=not quiet):
                write_report(cells, page, key=key, title=path.name)
    if not quiet:
        print_clusters(cells, Keys(key))
        novel = cells.obs[Keys(key).novel]
        typer.echo(f"{novel.sum()} of {len(novel)} cells ({novel.mean():.1%}) may be new")
        for written in filter(None, (output, report)):
            typer.echo(f"wrote {written}")
        typer.echo(f"{perf_counter() - start:.0f} seconds")
