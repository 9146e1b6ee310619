"""``mixvi report``: the page about a run that is in a file."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mixvi._arguments import refuse_existing
from mixvi._console import only_our_noise, refusing, working
from mixvi._input import read
from mixvi.report import write_report

__all__ = ["Page", "report_cells"]

Page: Any = typer.Option(
    metavar="FILE.html", help="Also write a page about the result: one file, to look at or send."
)


def report_cells(
    path: Annotated[Path, typer.Argument(metavar="OUT.h5ad", help="What mixvi has annotated.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .html file to write.")],
    key: Annotated[
        str | None, typer.Option(help="The --key-added of the run.  [default: the latest run]")
    ] = None,
    labels_key: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Known labels to set the clusters against.  [default: those of the run]",
        ),
    ] = None,
    basis: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Embedding of obsm to draw.  [default: X_umap]"),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Heading of the page.  [default: name of the file]")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", "--overwrite", help="Replace an existing output.")
    ] = False,
) -> None:
    """Write one HTML page about a result: clusters, markers, certainty, training, warnings.

    The page needs no network and no other file. Without a UMAP in the file one is computed for
    the page.

    Example: `mixvi report clustered.h5ad -o report.html`
    """
    refuse_existing([output], inputs=[path], force=force)
    cells = read(path)
    drawing = working("drawing the report")
    with refusing(OSError, KeyError, ValueError), only_our_noise(), drawing:
        write_report(
            cells, output, key=key, label_key=labels_key, basis=basis, title=title or path.name
        )
    typer.echo(f"wrote {output}")
