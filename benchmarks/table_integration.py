"""The page about batches of several studies in one latent space."""

from collections.abc import Sequence

import pandas as pd

from benchmarks.markdown import markdown, number
from benchmarks.store import Row

SCORES = {
    "mixing": "mixing",
    "ari": "ARI, own clusters",
    "n_clusters": "clusters",
    "ari_kmeans": "ARI, k-means",
    "scib_total": "scib total",
    "scib_bio": "biology",
    "scib_batch": "batches",
    "seconds": "seconds",
}
DIGITS = {"n_clusters": 0, "seconds": 0}


def integration_page(rows: Sequence[Row]) -> str:
    """Write one table, methods with labels after those without."""
    frame = pd.DataFrame(rows).reindex(columns=["method", "seed", *SCORES])
    frame["labels"] = frame["method"].str.endswith("_labels")
    lines = []
    for (_, method), own in frame.groupby(["labels", "method"]):
        means = [number(own[key].mean(), DIGITS.get(key, 3)) for key in SCORES]
        lines.append([f"`{method}`", str(own["seed"].nunique()), *means])
    text = (
        "Cells of three studies in four batches (`pbmc_multistudy`), means over seeds. Methods "
        "with `_labels` are given the labels of half of the cells; all are scored on the other "
        "half. *mixing*: {func}`mixvi.metrics.within_type_mixing`. *ARI*: of the method's own "
        "clusters or predicted labels with the types, and of k-means on its embedding with as "
        "many clusters as there are types. *scib*: scores of scib-metrics, not rescaled. "
        "`independent`: with a weight of 200 on the independence of z and the batch within "
        "components; the weight was chosen on this set, so expect a little less elsewhere."
    )
    table = markdown(["method", "seeds", *SCORES.values()], lines)
    return "\n\n".join(["# Integration of studies", text, table]) + "\n"
