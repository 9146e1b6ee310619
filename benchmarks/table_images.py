"""The page about classes of images."""

from collections.abc import Sequence

import pandas as pd

from benchmarks.markdown import markdown, number
from benchmarks.store import Row

TITLES = {
    "unsupervised": "Without labels, K = 10",
    "guided": "Without labels, guided by neighbors",
    "semi": "With the labels of 5 %",
}


def images_page(rows: Sequence[Row]) -> str:
    """Write one table per task: mean (worst) accuracy over seeds."""
    frame = pd.DataFrame(rows)
    parts = [
        "# Images",
        "Pixels in [0, 1], Bernoulli likelihood. Accuracy: mean (worst) over seeds. Without "
        "labels, clusters are matched to classes one-to-one on the training images (Hungarian), "
        "and the test images are judged by that matching. With labels, training accuracy is that "
        "of the images whose label was hidden. *Guided by neighbors*: a first model gives the "
        "latent space, Leiden's clusters of its neighbors, about ten, are labels for a second one.",
    ]
    for task, title in TITLES.items():
        part = frame[frame["task"] == task]
        if part.empty:
            continue
        lines = [
            [
                f"`{model}`",
                str(name),
                f"{n_train:,}",
                str(setting),
                str(own["seed"].nunique()),
                *(
                    f"{number(own[key].mean())} ({number(own[key].min())})"
                    for key in ("train_acc", "test_acc")
                ),
                number(own["seconds"].median(), 0),
            ]
            for (model, name, n_train, setting), own in part.groupby(
                ["model", "set", "n_train", "setting"]
            )
        ]
        header = ["model", "set", "images", "setting", "seeds", "training", "test", "seconds"]
        parts += [f"## {title}", markdown(header, lines)]
    return "\n\n".join(parts) + "\n"
