"""The page about cell types that were never seen stimulated."""

from collections.abc import Sequence

import pandas as pd

from benchmarks.markdown import NONE, extent, markdown, number
from benchmarks.store import Row

NAMES = {
    "identity": "identity (no change)",
    "mean shift": "mean shift of all other cells",
    "pca equal": "PCA-20 arithmetic, equal weights",
    "pca similarity": "PCA-20, similarity-weighted, half anchor",
    "scgen": "scGen (scarches)",
    "cgmdvae-decoder/flip": "conditional VAE: decoder flip",
    "cgmdvae-full/prior": "thesis: mean of p(z given w, y, c′)",
    "cgmdvae-decoder": "**CGMDVAE**, shift, condition in the decoder",
    "cgmdvae": '**CGMDVAE**, shift, `condition_effect="latent"`',
    "cgmdvae/half anchor": "the same, `anchor=.5`",
    "cgmdvae/anchor": "the same, `anchor=1`",
}
SCORES = {
    "r2_pearson": "R² all",
    "r2_pearson_top": "R² top 100",
    "delta_r2": "ΔR² all",
    "delta_r2_top": "ΔR² top 100",
}
MONOCYTES = "CD14+ Monocytes"


def perturbation_page(rows: Sequence[Row]) -> str:
    """Write the page: means over held-out types and seeds, lowest type, then every type."""
    frame = pd.DataFrame(rows)
    methods = [name for name in NAMES if name in set(frame["method"])]
    types = sorted(frame["held_out"].unique())
    over_types, by_type = [], []
    for method in methods:
        own = frame[frame["method"] == method]
        of_type = own.groupby("held_out")[list(SCORES)].mean()
        n_types = len(of_type)
        shown = NAMES[method] + ("" if n_types == len(types) else f" ({n_types} types)")
        monocytes = NONE
        if MONOCYTES in of_type.index:
            own_type = of_type.loc[MONOCYTES]
            monocytes = f"{number(own_type['r2_pearson'])} / {number(own_type['r2_pearson_top'])}"
        cells = [f"{number(of_type[key].mean())} ({number(of_type[key].min())})" for key in SCORES]
        seeds = extent(own.groupby("held_out")["seed"].nunique())
        over_types.append([shown, seeds, *cells, monocytes])
        pairs = [
            f"{number(of_type['r2_pearson'].get(t, float('nan')))} / "
            f"{number(of_type['r2_pearson_top'].get(t, float('nan')))}"
            for t in types
        ]
        by_type.append([NAMES[method], *pairs])
    text = (
        "The stimulated cells of one type are left out, in turn for each of the "
        f"{len(types)} types of the Kang data (1,649 singlets, interferon β), and their mean "
        "log-normalized expression is predicted from the type's control cells. R²: squared "
        "correlation of the means over genes, for all genes and for the 100 that respond most "
        "(Wilcoxon, held-out cells); ΔR²: share of the variance of the *change* that is predicted. "
        "Mean over types, and in brackets the lowest type. Half of the held-out cells predict "
        "the mean of all with R² of about .975. No method is fitted to held-out cells, and "
        "temperatures are chosen on the other types. The design of mixvi's log scale (two paths, "
        "20 components, the ridge penalty, no anchor, the condition in z) was settled with these "
        "scores in view, on one seed: expect a little less of it on other data."
    )
    if not any(name.startswith("cgmdvae") for name in frame["method"]):
        text += " mixvi's own rows have not been run yet."
    header = ["method", "seeds", *SCORES.values(), "monocytes (CD14), R²"]
    parts = [
        "# A type never seen stimulated",
        text,
        markdown(header, over_types),
        "By held-out type, R² of all genes / of the top 100:",
        markdown(["method", *types], by_type),
    ]
    return "\n\n".join(parts) + "\n"
