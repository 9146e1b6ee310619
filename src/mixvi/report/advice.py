"""What a reader should know before using the clusters, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixvi.metrics.information import CONFOUNDED, UNCLEAR

from .cells import Cells
from .clusters import Cluster
from .mixing import Spread
from .training import Training
from .uncertainty import Uncertainty

__all__ = ["Advice", "advise"]

FEW_CELLS = 20
LOW_CONFIDENCE = 0.7
MANY_UNSURE = 0.1
OWN_BATCH, ELSEWHERE = 0.9, 0.6
POOR_MIXING = 0.5
SHALLOW, DEEP = 1 / 3, 2.5
UNSTABLE = 0.6


@dataclass(frozen=True)
class Advice:
    """Something worth a second look.

    Attributes
    ----------
    kind
        One word for it, stable over versions.
    what
        What was seen.
    then
        What it may mean, and what to do.
    """

    kind: str
    what: str
    then: str


def advise(
    cells: Cells,
    clusters: Sequence[Cluster],
    uncertainty: Uncertainty,
    spreads: Sequence[Spread],
    training: Training | None,
    *,
    false_alarm_rate: float,
) -> list[Advice]:
    """Everything worth a second look, the gravest first.

    Parameters
    ----------
    cells, clusters, uncertainty, spreads, training
        What the report says.
    false_alarm_rate
        Share of known cells that is called new by chance.
    """
    return [
        *_of_training(training),
        *_of_number(clusters),
        *_of_batches(spreads, clusters),
        *_of_certainty(clusters, uncertainty),
        *_of_novelty(uncertainty, clusters, false_alarm_rate),
        *_of_size(clusters),
        *_of_depth(clusters),
        *_of_file(cells),
    ]


def _of_training(training: Training | None) -> Iterator[Advice]:
    if training is not None and training.settled is False:
        yield Advice(
            "training",
            f"Training may have stopped too early: {training.still_falling:.0%} of everything it "
            "gained came at its very end.",
            "Train longer (max_epochs) and see whether the clusters stay the same.",
        )


def _of_number(clusters: Sequence[Cluster]) -> Iterator[Advice]:
    if len(clusters) == 1:
        yield Advice(
            "one",
            "All cells are in one cluster.",
            "Either they are of one kind, or the model saw too little to part them: more cells, "
            "more genes, or a given number of clusters (n_components).",
        )


def _of_batches(spreads: Sequence[Spread], clusters: Sequence[Cluster]) -> Iterator[Advice]:
    sizes = {cluster.name: cluster.n_cells for cluster in clusters}
    for spread in spreads:
        most = spread.shares.idxmax(axis=1).astype(str)
        own = [
            (name, of)
            for name, of, share in zip(most.index, most, spread.shares.max(axis=1), strict=True)
            if share >= OWN_BATCH
            and spread.overall[of] <= ELSEWHERE
            and sizes.get(str(name), 0) >= FEW_CELLS
        ]
        if own:
            named = "; ".join(f"{name} ({of})" for name, of in own)
            those = "One cluster consists" if len(own) == 1 else f"{len(own)} clusters consist"
            yield Advice(
                spread.role,
                f"{those} almost entirely of one {spread.role} of {spread.column}: {named}.",
                f"It may be a kind of cell that only this {spread.role} has, or a technical "
                "difference that is left. Look at the marker genes: stress, mitochondrial and "
                "ribosomal genes speak for the latter.",
            )
        if spread.role == "batch" and spread.told > CONFOUNDED:
            yield Advice(
                "confounded",
                f"Clusters and {spread.column} are confounded: a cell's cluster tells "
                f"{spread.told:.0%} of what there is to know of its {spread.column}.",
                "Whether batches differ in their kinds of cells or in technique cannot be told "
                "from these data; batches that share kinds of cells can tell.",
            )
        if spread.role == "batch" and spread.mixing < POOR_MIXING:
            yield Advice(
                "mixing",
                f"Within clusters, cells keep to their own {spread.column}: the mixing is "
                f"{spread.mixing:.2f}, and 1 would be perfect.",
                "Distances within a cluster then partly are distances between batches. Clusters "
                "may still be right; trajectories and neighbors deserve care.",
            )


def _of_certainty(clusters: Sequence[Cluster], uncertainty: Uncertainty) -> Iterator[Advice]:
    if len(clusters) > 1 and uncertainty.certainty < UNCLEAR:
        yield Advice(
            "none",
            "The cells may form no clusters: a cell tells "
            f"{uncertainty.certainty:.0%} of what there is to know of its cluster.",
            "Take them as a cut of a continuum, or of noise, not as kinds of cells.",
        )
    low = [c for c in clusters if c.confidence < LOW_CONFIDENCE]
    if low:
        yield Advice(
            "confidence",
            f"The model is unsure about {_these(low)} (mean confidence below {LOW_CONFIDENCE}).",
            "These shade into others; see which under “How sure”. Merge them, or say so when you "
            "name them.",
        )
    if uncertainty.unsure > MANY_UNSURE:
        yield Advice(
            "unsure",
            f"{uncertainty.unsure:.0%} of the cells are more likely not in their cluster than in "
            "it (confidence below .5).",
            "There may be more clusters than the cells support: try fewer, or work with the "
            "probabilities instead of the names.",
        )
    shaky = [c for c in clusters if c.stability < UNSTABLE]
    if shaky:
        yield Advice(
            "stability",
            f"Other runs do not find {_these(shaky)} again (stability below {UNSTABLE}).",
            "They are one way to cut a continuum among several.",
        )


def _of_novelty(
    uncertainty: Uncertainty, clusters: Sequence[Cluster], rate: float
) -> Iterator[Advice]:
    if uncertainty.novel > 2 * rate:
        where = sorted((c for c in clusters if c.novel > 2 * rate), key=lambda c: -c.novel)[:3]
        most = f" Most in {_these(where)}." if where else ""
        yield Advice(
            "novelty",
            f"{uncertainty.novel:.0%} of the cells look unlike those that the model knows; "
            f"{rate:.0%} would by chance.{most}",
            "They may be of a kind that the model has not seen, doublets, or damaged; their label "
            "is the nearest known one, not a finding.",
        )


def _of_size(clusters: Sequence[Cluster]) -> Iterator[Advice]:
    small = [c for c in clusters if c.n_cells < FEW_CELLS]
    if small:
        yield Advice(
            "small",
            f"Few cells are in {_these(small)} (fewer than {FEW_CELLS}).",
            "Rare cells or leftovers: their marker genes rest on few cells. Check that they come "
            "from more than one sample.",
        )


def _of_depth(clusters: Sequence[Cluster]) -> Iterator[Advice]:
    shallow = [c for c in clusters if c.depth < SHALLOW]
    if shallow:
        yield Advice(
            "shallow",
            f"Cells of {_these(shallow)} have less than a third of the usual counts.",
            "Some cells are small; others are empty droplets or damaged. Look at their "
            "mitochondrial share.",
        )
    deep = [c for c in clusters if c.depth > DEEP]
    if deep:
        yield Advice(
            "deep",
            f"Cells of {_these(deep)} have more than {DEEP:g} times the usual counts.",
            "Some cells are large or divide; others are two in one droplet. Do marker genes of two "
            "kinds meet in them?",
        )


def _of_file(cells: Cells) -> Iterator[Advice]:
    if cells.matrix is None:
        yield Advice(
            "counts", "The file holds no expression.", "Depth and marker genes are left out."
        )
    elif cells.lacks_counts:
        yield Advice(
            "counts",
            "The file does not hold the counts that the model was trained on.",
            "Depth is left out, and marker genes are taken from the values as they are.",
        )


def _these(clusters: Sequence[Cluster]) -> str:
    names = [c.name for c in clusters]
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return f"cluster{'s' if len(names) > 1 else ''} {shown}"
