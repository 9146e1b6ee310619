"""Digits and clothes: classes of images without labels, and with few.

``python -m benchmarks.images --data DIR`` reads ``mnist.npz`` and ``fashion_mnist.npz`` there
(arrays ``x_train``, ``y_train``, ``x_test``, ``y_test`` of bytes) and runs what is not yet in the
results file; ``python -m benchmarks.table`` makes the table.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scvi
from scipy.optimize import linear_sum_assignment
from sklearn.model_selection import train_test_split

from benchmarks.cuts import leiden, match_resolution, neighbor_graph
from benchmarks.data import data_folder
from benchmarks.store import Row, add_row, finished, provenance

logger = logging.getLogger(__name__)

RESULTS = Path("benchmarks/results/images.json")
KEYS = ("set", "model", "task", "n_train", "setting", "seed")
MODELS = {"cgmdvae": "CGMDVAE", "rmve": "RMVE"}
TASKS = ("unsupervised", "guided", "semi")
LABELED = 0.05
UNKNOWN = "unknown"
N_CLASSES = 10


def load_images(folder: Path, name: str, n_train: int | None = None) -> tuple[ad.AnnData, ...]:
    """Training and test images as rows of pixels in [0, 1], classes in ``obs["class"]``.

    Parameters
    ----------
    folder
        Folder of the ``.npz`` files.
    name
        ``"mnist"`` or ``"fashion_mnist"``.
    n_train
        Take only the first that many of the training images.
    """
    path = folder / f"{name}.npz"
    if not path.exists():
        raise FileNotFoundError(f"expected {path.name} in {folder}, found none; give --data DIR")
    with np.load(path) as file:
        parts = (
            (file["x_train"][:n_train], file["y_train"][:n_train]),
            (file["x_test"], file["y_test"]),
        )
    return tuple(_as_anndata(x, y) for x, y in parts)


def _as_anndata(x: np.ndarray, y: np.ndarray) -> ad.AnnData:
    obs = pd.DataFrame({"class": y.astype(str)}, index=[f"image{i}" for i in range(len(x))])
    pixels = x.reshape(len(x), -1).astype(np.float32) / 255
    var = pd.DataFrame(index=[f"pixel{j}" for j in range(pixels.shape[1])])
    return ad.AnnData(pixels, obs=obs, var=var)


def hide(classes: np.ndarray, seed: int, share: float = LABELED) -> np.ndarray:
    """Classes ``(n_images,)`` with all but a share hidden, as much of every class."""
    kept, _ = train_test_split(
        np.arange(len(classes)), train_size=share, stratify=classes, random_state=seed
    )
    known = np.full(len(classes), UNKNOWN, dtype=object)
    known[kept] = classes[kept]
    return known


def matching(classes: np.ndarray, clusters: np.ndarray) -> dict[Any, Any]:
    """One class for each cluster, one-to-one, most images right (Hungarian)."""
    table = pd.crosstab(clusters, classes)
    row, column = linear_sum_assignment(table.to_numpy(), maximize=True)
    return dict(zip(table.index[row], table.columns[column], strict=True))


def communities(z: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
    """Leiden clusters of the neighbors in ``z``, as many as wanted or nearly, as strings."""
    graph = neighbor_graph(z, seed)
    found, _ = match_resolution(lambda r: leiden(graph, r, seed), n_clusters)
    return found.astype(str).astype(object)


def run(
    train: ad.AnnData,
    test: ad.AnnData,
    model_name: str,
    task: str,
    seed: int,
    max_epochs: int | None = None,
    components_per_label: int = 1,
    **options: Any,
) -> Row:
    """Train one model and say how many images it gets right.

    Parameters
    ----------
    train, test
        From :func:`load_images`.
    model_name
        Name of a class in :mod:`mixvi.model`.
    task
        ``"unsupervised"``: ten components, matched to classes on the training images.
        ``"guided"``: no label of the data either. A first model with a component for anything
        gives a latent space, Leiden's clusters of its neighbors are the labels of a second one.
        ``"semi"``: the classes of 5 % of the training images are given, and accuracy in training
        is that of the others.
    seed
        Goes to ``scvi.settings.seed``; also chooses the images with a label.
    max_epochs
        Of the whole training, or ``None`` for the model's own choice.
    components_per_label
        Where there are labels, of the data or of Leiden.
    **options
        Of the model.
    """
    import mixvi.model

    scvi.settings.seed = seed
    # the class is not in what the model sees
    seen, new = (ad.AnnData(part.X, var=part.var) for part in (train, test))
    classes, held_out = (part.obs["class"].to_numpy(dtype=object) for part in (train, test))
    known = hide(classes, seed) if task == "semi" else np.full(len(classes), UNKNOWN, dtype=object)
    model_class = getattr(mixvi.model, model_name)

    def fit(n_components: int | str, *, n_each: int = 1, **keys: str) -> Any:
        model_class.setup_anndata(seen, **keys)
        model = model_class(
            seen,
            n_components=n_components,
            components_per_label=n_each,
            gene_likelihood="bernoulli",
            **options,
        )
        model.train(max_epochs=max_epochs, enable_progress_bar=False)
        return model

    def fit_tied(n_labels: int, **keys: str) -> Any:
        n_each = components_per_label
        return fit(n_labels * n_each, n_each=n_each, labels_key="known", **keys)

    start = perf_counter()
    if task == "guided":
        guide = communities(fit("auto").get_latent_representation(), N_CLASSES, seed)
        seen.obs["known"] = pd.Categorical(guide)
        model = fit_tied(len(set(guide)))
    elif task == "semi":
        seen.obs["known"] = pd.Categorical(known)
        model = fit_tied(N_CLASSES, unlabeled_category=UNKNOWN)
    else:
        model = fit(N_CLASSES)
    seconds = perf_counter() - start
    found, found_new = np.asarray(model.predict()), np.asarray(model.predict(new))
    name_of = {c: c for c in found} if task == "semi" else matching(classes, found)
    right, right_new = (
        pd.Series(clusters).map(name_of).to_numpy() == truth
        for clusters, truth in ((found, classes), (found_new, held_out))
    )
    return {
        "train_acc": float(right[known == UNKNOWN].mean()),
        "test_acc": float(right_new.mean()),
        "n_clusters": len(set(found)),
        "seconds": round(seconds, 2),
        "n_epochs": len(model.history["elbo_train"]),
        **provenance(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of .npz files [../shared/data]")
    parser.add_argument("--sets", default="mnist,fashion_mnist", help="[%(default)s]")
    parser.add_argument("--models", default="cgmdvae", help="of cgmdvae,rmve [%(default)s]")
    parser.add_argument("--tasks", default=",".join(TASKS), help="[%(default)s]")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 … n − 1 [%(default)s]")
    parser.add_argument("--n-train", type=int, help="only the first images [all]")
    parser.add_argument("--n-hidden", type=int, help="width of the networks [the model's]")
    parser.add_argument("--n-layers", type=int, help="depth of the networks [the model's]")
    parser.add_argument("--components-per-label", type=int, help="with labels or guided [1]")
    parser.add_argument("--max-epochs", type=int, help="[the model's choice]")
    parser.add_argument("--redo", action="store_true", help="run rows that exist again")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    folder = data_folder(options.data)
    settings = ("n_hidden", "n_layers", "components_per_label", "max_epochs")
    given = {key: getattr(options, key) for key in settings}
    given = {key: value for key, value in given.items() if value is not None}
    setting = " ".join(f"{key}={value}" for key, value in given.items()) or "default"
    for seed in range(options.seeds):
        for name in options.sets.split(","):
            train, test = load_images(folder, name, options.n_train)
            for model in options.models.split(","):
                for task in options.tasks.split(","):
                    key = (name, model, task, train.n_obs, setting, seed)
                    done = finished(options.output, KEYS)
                    if key in done and not options.redo:
                        continue
                    scores = run(train, test, MODELS[model], task, seed, **given)
                    row = dict(zip(KEYS, key, strict=True)) | scores
                    add_row(options.output, row, KEYS)
                    logger.info(
                        "%s %s %s seed %d: accuracy %.3f, on test images %.3f",
                        *(name, model, task, seed, row["train_acc"], row["test_acc"]),
                    )


if __name__ == "__main__":
    main()
