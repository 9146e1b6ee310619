"""Label transfer and unseen types: donors of one study, and studies, each type left out in turn.

``python -m benchmarks.mapping --data DIR`` runs what is not yet in the results file;
``python -m benchmarks.table`` makes the table from it.
"""

import argparse
import logging
import math
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from time import perf_counter

import anndata as ad
import numpy as np
import scanpy as sc
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from benchmarks.command import pick
from benchmarks.data import LABEL, clean, data_folder
from benchmarks.peers_mapping import BATCH, METHODS, Transfer
from benchmarks.store import Row, add_row, finished, provenance

logger = logging.getLogger(__name__)

RESULTS = Path("benchmarks/results/mapping.json")
KEYS = ("setting", "left_out", "method", "seed")
NOTHING = "nothing"
SETTINGS = {
    "pbmc3k": ("pbmc_multistudy", "study", ("pbmc3k_10xv1",)),
    "zheng": ("pbmc_multistudy", "study", ("zheng_facs",)),
    "donors": ("kang_pbmc_ctrl_8donors", "batch", None),
}
N_DONORS = 2
N_TOP_GENES = 2_000
MIN_CELLS = 20  # of a type in the query, to be left out


def split(
    folder: Path, setting: str, seed: int, max_reference: int, max_query: int
) -> tuple[ad.AnnData, ad.AnnData]:
    """Reference and query; never cells of one experiment in both.

    Parameters
    ----------
    folder
        Where the data are.
    setting
        A key of :data:`SETTINGS`: a study is the query, or two donors by the seed.
    seed
        Chooses donors, and cells where there are more than are used.
    max_reference, max_query
        Cells used at most.
    """
    name, column, queries = SETTINGS[setting]
    rng = np.random.default_rng(seed)
    adata = clean(ad.read_h5ad(folder / f"{name}.h5ad"))
    adata = adata[adata.obs[LABEL].notna()]
    if queries is None:
        donors = np.unique(adata.obs[column].astype(str))
        queries = tuple(rng.permutation(donors)[:N_DONORS])
    is_query = adata.obs[column].isin(queries).to_numpy()
    parts = []
    for rows, n in ((~is_query, max_reference), (is_query, max_query)):
        cells = np.flatnonzero(rows)
        part = adata[np.sort(rng.permutation(cells)[:n])]
        obs = part.obs[[LABEL, BATCH]].astype(str)
        parts.append(ad.AnnData(part.X.astype("float32").tocsr(), obs=obs, var=part.var[[]]))
    return parts[0], parts[1]


def prepare(reference: ad.AnnData, query: ad.AnnData) -> tuple[ad.AnnData, ad.AnnData]:
    """Log-normalize both; keep the genes that vary in the reference."""
    reference, query = reference.copy(), query.copy()
    for part in (reference, query):
        sc.pp.filter_cells(part, min_counts=1)
        part.layers["lognorm"] = part.X.copy()
        sc.pp.normalize_total(part, target_sum=1e4, layer="lognorm")
        sc.pp.log1p(part, layer="lognorm")
        part.obs = part.obs[[LABEL, BATCH]]
        part.uns.clear()
    sc.pp.filter_genes(reference, min_cells=3)
    if reference.n_vars > N_TOP_GENES:
        sc.pp.highly_variable_genes(
            reference, layer="lognorm", n_top_genes=N_TOP_GENES, batch_key=BATCH
        )
        reference = reference[:, reference.var["highly_variable"].to_numpy()].copy()
    reference.var = reference.var[[]]
    parts = []
    for part in (reference, query[:, reference.var_names].copy()):
        part.uns.clear()
        parts.append(part[np.asarray(part.X.sum(1)).ravel() > 0].copy())
    return parts[0], parts[1]


def left_out_types(reference: ad.AnnData, query: ad.AnnData) -> list[str]:
    """Types that can be left out: enough cells in the query, and some in the reference."""
    counts = query.obs[LABEL].value_counts()
    known = set(reference.obs[LABEL])
    return [
        str(name) for name in sorted(counts.index) if counts[name] >= MIN_CELLS and name in known
    ]


def scores(truth: np.ndarray, known: set[str], found: Transfer) -> Row:
    """Accuracy and macro-F1 of the cells of known types, AUROC of the others against them."""
    seen = np.isin(truth, list(known))
    row: Row = {
        "accuracy": float(accuracy_score(truth[seen], found.labels[seen])),
        "macro_f1": float(
            f1_score(
                truth[seen], found.labels[seen], labels=sorted(set(truth[seen])), average="macro"
            )
        ),
        "n_seen": int(seen.sum()),
        "n_unseen": int((~seen).sum()),
    }
    if (~seen).any():
        row["auroc"] = float(roc_auc_score(~seen, found.novelty))
    if found.novel is not None:
        row["false_alarms"] = float(found.novel[seen].mean())
        row["false_alarms_of"] = {
            str(name): float(found.novel[truth == name].mean()) for name in np.unique(truth[seen])
        }
        if (~seen).any():
            row["found"] = float(found.novel[~seen].mean())
    return row


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mapping", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of .h5ad files [../shared/data]")
    parser.add_argument("--settings", default=",".join(SETTINGS), help="[%(default)s]")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 … n − 1 [%(default)s]")
    parser.add_argument("--methods", default="*", help="names or patterns, such as *_frozen,svm")
    parser.add_argument("--left-out", default="*", help=f"types or patterns; {NOTHING} is one")
    parser.add_argument("--max-reference", type=int, default=4_000, help="cells [%(default)s]")
    parser.add_argument("--max-query", type=int, default=2_000, help="cells [%(default)s]")
    parser.add_argument(
        "--time-limit", type=float, default=math.inf, metavar="MIN", help="begin nothing after that"
    )
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("mixvi").setLevel(logging.WARNING)
    deadline = perf_counter() + 60 * options.time_limit
    folder = data_folder(options.data)
    methods = pick(parser, "--methods", METHODS, options.methods)
    for seed in range(options.seeds):
        for setting in options.settings.split(","):
            whole = split(folder, setting, seed, options.max_reference, options.max_query)
            for left_out in [NOTHING, *left_out_types(*whole)]:
                if not any(fnmatch(left_out, p) for p in options.left_out.split(",")):
                    continue
                reference, query = whole
                reference = reference[reference.obs[LABEL] != left_out]
                known = set(reference.obs[LABEL])
                if left_out == NOTHING:
                    query = query[query.obs[LABEL].isin(known)]
                else:  # no other type that is not known: one question at a time
                    query = query[query.obs[LABEL].isin(known | {left_out})]
                reference, query = prepare(reference.copy(), query.copy())
                for method in methods:
                    done = finished(options.output, KEYS)
                    if (setting, left_out, method, seed) in done or perf_counter() > deadline:
                        continue
                    start = perf_counter()
                    found = METHODS[method](reference, query, seed)
                    row: Row = {
                        "setting": setting,
                        "left_out": left_out,
                        "method": method,
                        "seed": seed,
                        **scores(query.obs[LABEL].to_numpy(dtype=str), known, found),
                        "seconds": round(perf_counter() - start, 2),
                        "n_reference": reference.n_obs,
                        "n_genes": reference.n_vars,
                        "parameters": found.parameters,
                        **provenance(),
                    }
                    add_row(options.output, row, KEYS)
                    logger.info(
                        "%s without %s, %s, seed %d: macro-F1 %.3f, AUROC %.3f, %.0f s",
                        setting,
                        left_out,
                        method,
                        seed,
                        row["macro_f1"],
                        row.get("auroc", math.nan),
                        row["seconds"],
                    )


if __name__ == "__main__":
    main()
