"""Label transfer by mixvi and its peers: labels and a novelty of every query cell."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anndata as ad
import numpy as np
import scvi
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.svm import LinearSVC

from benchmarks import peers_scarches
from benchmarks.data import LABEL

BATCH = "batch"
CS = (0.001, 0.01, 0.1, 1.0, 10.0)
N_FOLDS = 3
N_COMPONENTS, N_NEIGHBORS = 50, 15
SCVI_EPOCHS, QUERY_EPOCHS = 100, 50


@dataclass(frozen=True)
class Transfer:
    """What a method says about the query.

    Attributes
    ----------
    labels
        Label of every cell.
    novelty
        How little it looks like the reference; only the order counts.
    novel
        Whether the method calls it new, or ``None`` where it has no threshold of its own.
    parameters
        The settings that were used.
    """

    labels: np.ndarray
    novelty: np.ndarray
    novel: np.ndarray | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


Method = Callable[[ad.AnnData, ad.AnnData, int], Transfer]


def frozen(reference: ad.AnnData, query: ad.AnnData, seed: int, name: str) -> Transfer:
    """Map onto a model of mixvi that was trained on the reference alone."""
    import mixvi

    scvi.settings.seed = seed
    cells, options = reference.copy(), {"label_weight": 5.0}
    model_class = getattr(mixvi.model, name)
    model_class.setup_anndata(
        cells, batch_key=BATCH, labels_key=LABEL, unlabeled_category="unknown"
    )
    model = model_class(cells, **options)
    model.train(enable_progress_bar=False)
    new = query.copy()
    del new.obs[LABEL]
    mixvi.tl.transfer(new, model, key_added="pred")
    return _read(new, options)


def adapt(reference: ad.AnnData, query: ad.AnnData, seed: int) -> Transfer:
    """Train mixvi on reference and query together."""
    import mixvi

    new = query.copy()
    mixvi.tl.transfer(
        new,
        reference,
        LABEL,
        batch_key=BATCH,
        mask_var=False,
        key_added="pred",
        train_kwargs={"enable_progress_bar": False},
        rng=seed,
    )
    return _read(new, {})


def _read(annotated: ad.AnnData, parameters: dict[str, Any]) -> Transfer:
    obs = annotated.obs
    return Transfer(
        obs["pred"].astype(str).to_numpy(),
        obs["pred_novelty"].to_numpy(),
        obs["pred_novel"].to_numpy(),
        parameters,
    )


def _tuned(model: Any, reference: ad.AnnData, name: str) -> tuple[Any, dict[str, Any]]:
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)
    search = GridSearchCV(
        make_pipeline(MaxAbsScaler(), model) if name == "linearsvc" else make_pipeline(model),
        {f"{name}__C": CS},
        scoring="f1_macro",
        cv=folds,
    )
    search.fit(reference.layers["lognorm"], reference.obs[LABEL].astype(str))
    return search.best_estimator_, {k.split("__")[1]: v for k, v in search.best_params_.items()}


def svm(reference: ad.AnnData, query: ad.AnnData, seed: int) -> Transfer:
    """Linear SVM on log-normalized genes, C by cross-validation; novelty: the negative margin."""
    model, parameters = _tuned(LinearSVC(random_state=seed), reference, "linearsvc")
    margin = model.decision_function(query.layers["lognorm"])
    novelty = -(margin.max(1) if margin.ndim > 1 else np.abs(margin))
    return Transfer(model.predict(query.layers["lognorm"]), novelty, parameters=parameters)


def logistic(reference: ad.AnnData, query: ad.AnnData, seed: int) -> Transfer:
    """Logistic regression, C by cross-validation; novelty: 1 − the largest probability."""
    model, parameters = _tuned(LogisticRegression(max_iter=300), reference, "logisticregression")
    probs = model.predict_proba(query.layers["lognorm"])
    return Transfer(model.classes_[probs.argmax(1)], 1 - probs.max(1), parameters=parameters)


def _pca(reference: ad.AnnData, query: ad.AnnData, seed: int) -> tuple[np.ndarray, np.ndarray]:
    X = reference.layers["lognorm"].toarray()
    mean = X.mean(0)
    svd = TruncatedSVD(N_COMPONENTS, random_state=seed).fit(X - mean)
    return svd.transform(X - mean), svd.transform(query.layers["lognorm"].toarray() - mean)


def _knn(z: np.ndarray, labels: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels by vote, and the mean distance to the neighbors."""
    model = KNeighborsClassifier(N_NEIGHBORS).fit(z, labels)
    return model.predict(new), model.kneighbors(new)[0].mean(1)


def pca_knn(reference: ad.AnnData, query: ad.AnnData, seed: int) -> Transfer:
    """Vote of 15 neighbors among 50 principal components of the reference; their distance."""
    z, new = _pca(reference, query, seed)
    return Transfer(*_knn(z, reference.obs[LABEL].astype(str).to_numpy(), new))


def mahalanobis(reference: ad.AnnData, query: ad.AnnData, seed: int) -> Transfer:
    """Nearest class mean on the same components under one covariance; its distance."""
    z, new = _pca(reference, query, seed)
    labels = reference.obs[LABEL].astype(str).to_numpy()
    classes = np.unique(labels)
    means = np.stack([z[labels == k].mean(0) for k in classes])
    residuals = z - means[np.searchsorted(classes, labels)]
    precision = np.linalg.inv(np.cov(residuals.T) + 1e-6 * np.eye(z.shape[1]))
    offsets = new[:, None] - means
    distance = np.einsum("nkd,de,nke->nk", offsets, precision, offsets)
    return Transfer(classes[distance.argmin(1)], distance.min(1))


def celltypist(reference: ad.AnnData, query: ad.AnnData, seed: int) -> Transfer:
    """CellTypist trained on the reference; novelty: 1 − its confidence."""
    import celltypist as ct

    parts = []
    for cells in (reference, query):
        part = ad.AnnData(cells.layers["lognorm"].copy(), obs=cells.obs.copy(), var=cells.var)
        parts.append(part)
    model = ct.train(
        parts[0], labels=LABEL, check_expression=False, n_jobs=1, feature_selection=False
    )
    found = ct.annotate(parts[1], model=model, majority_voting=False)
    probs = found.probability_matrix
    return Transfer(
        found.predicted_labels["predicted_labels"].astype(str).to_numpy(),
        1 - probs.to_numpy().max(1),
    )


def symphony(reference: ad.AnnData, query: ad.AnnData, seed: int) -> Transfer:
    """Symphony on Harmony's embedding of the reference, labels by 15 neighbors; their distance."""
    import scanpy as sc
    import symphonypy as sp

    parts = []
    for cells in (reference, query):
        parts.append(
            ad.AnnData(cells.layers["lognorm"].copy(), obs=cells.obs.copy(), var=cells.var)
        )
    known, new = parts
    known.var["highly_variable"] = True
    known.var["mean"] = np.asarray(known.X.mean(0)).ravel()
    dense = known.X.toarray()
    known.var["std"] = dense.std(0)
    known.X = ((dense - dense.mean(0)) / np.maximum(dense.std(0), 1e-8)).clip(-10, 10)
    sc.pp.pca(known, n_comps=30, zero_center=False, random_state=seed)
    sp.pp.harmony_integrate(known, key=BATCH, verbose=False)
    sp.tl.map_embedding(new, known, key=BATCH)
    labels = reference.obs[LABEL].astype(str).to_numpy()
    return Transfer(*_knn(known.obsm["X_pca_harmony"], labels, new.obsm["X_pca_harmony"]))


def scvi_knn(reference: ad.AnnData, query: ad.AnnData, seed: int) -> Transfer:
    """SCVI with scArches, labels by 15 neighbors in its latent space; their distance."""
    scvi.settings.seed = seed
    known, new = reference.copy(), query.copy()
    scvi.model.SCVI.setup_anndata(known, batch_key=BATCH)
    model = scvi.model.SCVI(known, gene_likelihood="nb", **SCARCHES)
    model.train(SCVI_EPOCHS, plan_kwargs=WARMUP, enable_progress_bar=False)
    mapped = scvi.model.SCVI.load_query_data(new, model)
    mapped.train(QUERY_EPOCHS, plan_kwargs={"weight_decay": 0.0}, enable_progress_bar=False)
    labels = reference.obs[LABEL].astype(str).to_numpy()
    found = _knn(
        model.get_latent_representation(known), labels, mapped.get_latent_representation(new)
    )
    return Transfer(*found, parameters={"max_epochs": SCVI_EPOCHS, **SCARCHES})


def scanvi(reference: ad.AnnData, query: ad.AnnData, seed: int) -> Transfer:
    """SCANVI on SCVI with scArches; novelty: 1 − the largest probability."""
    scvi.settings.seed = seed
    known, new = reference.copy(), query.copy()
    known.obs[LABEL] = known.obs[LABEL].astype(str)
    new.obs[LABEL] = "unknown"
    scvi.model.SCVI.setup_anndata(known, batch_key=BATCH)
    base = scvi.model.SCVI(known, gene_likelihood="nb", **SCARCHES)
    base.train(SCVI_EPOCHS, plan_kwargs=WARMUP, enable_progress_bar=False)
    model = scvi.model.SCANVI.from_scvi_model(base, "unknown", labels_key=LABEL)
    model.train(20, enable_progress_bar=False)
    mapped = scvi.model.SCANVI.load_query_data(new, model)
    mapped.train(QUERY_EPOCHS, plan_kwargs={"weight_decay": 0.0}, enable_progress_bar=False)
    probs = mapped.predict(new, soft=True)
    return Transfer(
        probs.columns.to_numpy().astype(str)[probs.to_numpy().argmax(1)],
        1 - probs.to_numpy().max(1),
        parameters={"max_epochs": SCVI_EPOCHS, **SCARCHES},
    )


def scpoli(reference: ad.AnnData, query: ad.AnnData, seed: int) -> Transfer:
    """scPoli, fine-tuned on the query; novelty: its uncertainty."""
    labels, uncertainty = peers_scarches.transfer(reference, query, seed)
    parameters = {**peers_scarches.SCPOLI, "query": peers_scarches.QUERY}
    return Transfer(labels, uncertainty, parameters=parameters)


# what the authors of scArches advise
SCARCHES = {
    "n_layers": 2,
    "use_layer_norm": "both",
    "use_batch_norm": "none",
    "encode_covariates": True,
    "dropout_rate": 0.2,
}
WARMUP = {"n_epochs_kl_warmup": SCVI_EPOCHS // 2}
METHODS: dict[str, Method] = {
    "cgmdvae_frozen": lambda r, q, s: frozen(r, q, s, "CGMDVAE"),
    "rmve_frozen": lambda r, q, s: frozen(r, q, s, "RMVE"),
    "mixvi_adapt": adapt,
    "svm": svm,
    "logistic": logistic,
    "pca_knn": pca_knn,
    "pca_mahalanobis": mahalanobis,
    "celltypist": celltypist,
    "symphony": symphony,
    "scvi_knn": scvi_knn,
    "scanvi": scanvi,
    "scpoli": scpoli,
}
