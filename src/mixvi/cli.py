"""The command line: arguments in, :mod:`mixvi.tl` called, files and a short table out."""

import os
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import mixvi
from mixvi import demo as demonstration
from mixvi import metrics, tl
from mixvi._arguments import (
    Accelerator,
    Likelihood,
    Method,
    check_accelerator,
    column,
    given,
    number_or_auto,
    refuse_existing,
    refuse_unwritable,
)
from mixvi._console import (
    only_our_noise,
    print_clusters,
    print_scores,
    refuse,
    refusing,
    working,
)
from mixvi._files import replacing, replacing_directory
from mixvi._input import (
    check_counts,
    read,
    some_cells,
    variable_genes,
    without_empty,
    write,
)
from mixvi._keys import Keys
from mixvi._map import map_cells
from mixvi._report import Page, report_cells
from mixvi.model.checks import check_columns, check_n_components, get_matrix
from mixvi.report import write_report
from mixvi.tl.genes import chosen_genes

__all__ = ["app"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mixvi {mixvi.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print and exit."),
    ] = False,
) -> None:
    """Cluster single cells, and map new ones, with a mixture variational autoencoder.

    **See it work** on real cells, without data of your own: `mixvi demo`

    **Cluster** raw counts; results are written beside what is in the file, for scanpy:
    `mixvi cluster cells.h5ad -o out.h5ad --layer counts --batch-key donor`

    **Look** at the result: `mixvi report out.h5ad -o report.html`

    **Map** new cells onto labeled ones, and find what is new among them. First
    `mixvi cluster reference.h5ad -o out.h5ad --labels-key cell_type --model-dir atlas`, then
    `mixvi map query.h5ad --reference atlas -o mapped.h5ad`

    `mixvi COMMAND --help` explains every option. Input files are never changed, and outputs
    appear whole or not at all.
    """


@app.command()
def cluster(
    path: Annotated[Path, typer.Argument(metavar="IN.h5ad", help="Cells × genes, raw counts.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The annotated .h5ad to write.")],
    layer: Annotated[str | None, typer.Option(help="Layer with the counts.  [default: X]")] = None,
    method: Annotated[Method, typer.Option(help="Model that clusters.")] = Method.cgmdvae,
    n_components: Annotated[
        str, typer.Option(metavar="K", help="Number of clusters, or auto: as many as stand apart.")
    ] = "auto",
    batch_key: Annotated[str | None, column("Batch to correct for, e.g. donor.")] = None,
    condition_key: Annotated[str | None, column("Condition, e.g. treatment.")] = None,
    labels_key: Annotated[
        str | None,
        column(
            "Known labels that TRAIN the clusters (semi-supervision). To only compare clusters "
            "with labels, use --score-against."
        ),
    ] = None,
    unlabeled_category: Annotated[
        str | None, column("The value in --labels-key that means: not known.")
    ] = None,
    categorical_covariate_key: Annotated[
        list[str] | None, column("Further categorical covariate; repeat for more.")
    ] = None,
    continuous_covariate_key: Annotated[
        list[str] | None, column("Continuous covariate; repeat for more.")
    ] = None,
    size_factor_key: Annotated[str | None, column("Size factor of each cell.")] = None,
    score_against: Annotated[
        str | None, column("Labels to score the clusters with; never used in training.")
    ] = None,
    n_top_genes: Annotated[
        int,
        typer.Option(
            min=0,
            help="Train on this many highly variable genes; 0 for all. Not computed when "
            "var['highly_variable'] is there. All genes are written.",
        ),
    ] = 2000,
    n_latent: Annotated[int | None, typer.Option(min=1, help="Latent dimensions.")] = None,
    gene_likelihood: Annotated[
        Likelihood, typer.Option(help="normal is for data that are not counts.")
    ] = Likelihood.nb,
    max_epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Cells per training step.")] = None,
    accelerator: Annotated[Accelerator, typer.Option(help="Where to train.")] = Accelerator.auto,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same clusters.")] = 0,
    drop_empty: Annotated[
        bool, typer.Option("--drop-empty", help="First drop cells and genes without counts.")
    ] = False,
    backed: Annotated[
        bool,
        typer.Option("--backed", help="Leave the counts on the disk: for more than fit in memory."),
    ] = False,
    key_added: Annotated[
        str | None, typer.Option(help="Prefix of everything written.  [default: the method]")
    ] = None,
    model_dir: Annotated[Path | None, typer.Option(help="Also save the model here.")] = None,
    report: Annotated[Path | None, Page] = None,
    force: Annotated[
        bool, typer.Option("--force", "--overwrite", help="Replace existing outputs.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")
    ] = False,
) -> None:
    """Cluster the cells of an .h5ad file.

    Writes clusters (`obs["cgmdvae"]`), their probabilities, confidence, entropy, novelty and the
    latent space (`obsm["X_cgmdvae"]`) next to everything that was in the file.

    Example: `mixvi cluster cells.h5ad -o clustered.h5ad --layer counts --batch-key donor`
    """
    start = perf_counter()
    with refusing(ValueError):
        key = Keys(str(method) if key_added is None else key_added).name
    n_clusters = number_or_auto(n_components, "--n-components", least=1)
    refuse_existing([output, model_dir, report], inputs=[path], force=force)
    if os.path.isdir(output) or (model_dir is not None and os.path.isfile(model_dir)):
        refuse("expected a file as --output and a directory as --model-dir; swap or rename them")
    check_accelerator(accelerator)
    if backed and (layer is not None or drop_empty):
        refuse("expected neither --layer nor --drop-empty with --backed; put the counts in X first")
    adata = read(path, backed)
    counts = gene_likelihood != Likelihood.normal
    with refusing(ValueError, KeyError, TypeError):
        keys = [batch_key, condition_key, labels_key, score_against]
        check_columns(
            adata,
            [key for key in [*keys, *(categorical_covariate_key or [])] if key is not None],
            numeric=continuous_covariate_key or [],
            positive=[size_factor_key] if size_factor_key else [],
        )
        if drop_empty:
            adata = without_empty(adata, layer)
        matrix = get_matrix(adata, layer)
        # an empty gene is no harm where it is not trained on
        chosen = n_top_genes > 0 and ("highly_variable" in adata.var or n_top_genes < adata.n_vars)
        check_counts(matrix, adata, layer, counts=counts, empty_genes=counts and not chosen)
        if n_clusters != "auto":
            check_n_components(n_clusters, adata.n_obs)
    with ExitStack() as pages, ExitStack() as outputs:
        try:  # before training, not after
            page = pages.enter_context(replacing(report)) if report else None
            h5ad = outputs.enter_context(replacing(output))
            save = outputs.enter_context(replacing_directory(model_dir)) if model_dir else None
        except OSError as error:
            refuse_unwritable([output, model_dir, report], error)
        outputs.enter_context(only_our_noise(bars=not quiet))
        if 0 < n_top_genes < adata.n_vars and "highly_variable" not in adata.var:
            looked_at = some_cells(adata)
            adata.var["highly_variable"] = variable_genes(
                get_matrix(looked_at, layer), looked_at, n_top_genes, batch_key, counts
            )
        mask_var: str | bool = "highly_variable"
        if n_top_genes == 0 or mask_var not in adata.var:
            mask_var = False
        else:
            with refusing(ValueError, TypeError):
                genes = chosen_genes(adata, mask_var)
            if not backed:
                trained = adata[:, genes]
                check_counts(
                    get_matrix(trained, layer), trained, layer, counts=counts, empty_genes=counts
                )
        train_kwargs = {"max_epochs": max_epochs, "batch_size": batch_size}
        fit = {Method.cgmdvae: tl.cgmdvae, Method.rmve: tl.rmve}[method]
        with refusing(ValueError, KeyError, TypeError, FloatingPointError, only_ours=True):
            fit(
                adata,
                n_clusters,
                layer=layer,
                batch_key=batch_key,
                condition_key=condition_key,
                labels_key=labels_key,
                unlabeled_category=unlabeled_category,
                categorical_covariate_keys=categorical_covariate_key or None,
                continuous_covariate_keys=continuous_covariate_key or None,
                size_factor_key=size_factor_key,
                mask_var=mask_var,
                key_added=key,
                model_kwargs=given({"n_latent": n_latent, "gene_likelihood": str(gene_likelihood)}),
                train_kwargs=given(train_kwargs)
                | {"accelerator": str(accelerator), "enable_progress_bar": not quiet},
                save=save,
                rng=seed,
            )
        with refusing(OSError):
            write(adata, h5ad)
        outputs.close()  # the cells are there, whatever becomes of the page
        if page is not None:
            with only_our_noise(), working("drawing the report", shown=not quiet):
                write_report(adata, page, key=key, label_key=score_against, title=path.name)
    if score_against is not None:
        print_scores(metrics.clustering_scores(adata.obs[score_against], adata.obs[key]))
    if not quiet:
        print_clusters(adata, Keys(key))
        for written in filter(None, (output, model_dir, report)):
            typer.echo(f"wrote {written}")
        typer.echo(f"{perf_counter() - start:.0f} seconds")


app.command("map")(map_cells)
app.command("report")(report_cells)


@app.command()
def demo(
    directory: Annotated[
        Path, typer.Option("-o", "--output", help="Directory for the results.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same clusters.")] = 0,
) -> None:
    """Cluster 700 blood cells that come with the package, and compare with their cell types.

    Needs no data and no network. Results of an earlier demo in the same directory are replaced.

    Example: `mixvi demo -o demo`
    """
    try:
        with only_our_noise():
            table, scores = demonstration.run(directory, seed=seed)
    except OSError as error:
        refuse_unwritable([directory], error)
    shown = Table(title="Cells of each cluster by cell type")
    for name in ("cluster", "cells", "mostly", "share", "then"):
        shown.add_column(name, justify="right" if name in ("cells", "share") else "left")
    for group, row in table.iterrows():
        n_cells = int(row.sum())
        if n_cells:
            top = row.sort_values(ascending=False, kind="stable")
            then = f"{top.index[1]} ({top.iloc[1]})" if len(top) > 1 and top.iloc[1] else ""
            share = f"{top.iloc[0] / n_cells:.0%}"
            shown.add_row(str(group), str(n_cells), str(top.index[0]), share, then)
    Console().print(shown)
    typer.echo(f"ARI {scores['ari']:.3f}, NMI {scores['nmi']:.3f} against the cell types")
    typer.echo(f"{scores['n_clusters']:.0f} clusters of {scores['n_components']} components")
    typer.echo(f"trained in {scores['seconds']:.0f} seconds")
    for name, what in {
        "umap.png": "the picture",
        "pbmc.h5ad": "the annotated cells",
        "model": "the trained model",
        "report.html": "the report: open it in a browser",
    }.items():
        typer.echo(f"{directory / name}  {what}")
