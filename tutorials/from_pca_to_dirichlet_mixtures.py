# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From PCA to a mixture of Dirichlets
#
# All models of mixvi are variational autoencoders with something above their latent space. This
# page builds them up on one data set, from principal components to CGMDVAE, and each step adds
# **one idea**. The mathematics of every step is in the user guide, *From PCA to a mixture of
# Dirichlets*; here we look at what it does to real cells, and whether it is worth it.
#
# Read the numbers as an illustration: 700 cells, short runs, mostly one seed. The page takes three
# or four minutes on one core, without a GPU and without a download.

# %%
import logging
import warnings

warnings.filterwarnings("ignore", message="IProgress not found")

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scanpy as sc
import scvi
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

import mixvi
from mixvi.model import CGMDVAE, RMVE

for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")
scvi.settings.verbosity = logging.WARNING
plt.rcParams["figure.dpi"] = 64  # small pictures for a small notebook

# %% [markdown]
# Runs of 60 epochs with a learning rate of 0.005 are enough to see the differences. For an analysis
# leave both to their defaults (200 epochs at 0.001 for so few cells).

# %%
EPOCHS = 60
LEARNING_RATE = 5e-3
K = 10  # number of clusters where it is given: as many as there are labels

# %% [markdown]
# Two helpers: one trains a model and measures it, one draws a latent space. The measures are
#
# * **bound**, the ELBO of the cells that were held out, and **log-likelihood**, a tighter estimate
#   of log p(x) of the same cells by importance sampling; both in nats per cell, higher is better;
# * **ARI**, **NMI** and **accuracy** of the clusters against the labels. The models never see the
#   labels.
#
# The same seed holds out the same cells for every model, so bounds of models of the same counts can
# be compared.

# %%
adata = mixvi.datasets.pbmc()
labels = adata.obs["cell_type"]
results, latent, clusters = {}, {}, {}


def fit(cls, n_components, data=adata, lr=LEARNING_RATE, setup=None, seed=0, **settings):
    scvi.settings.seed = seed
    cls.setup_anndata(data, **(setup or {}))
    model = cls(data, n_components=n_components, **settings)
    model.train(
        EPOCHS,
        accelerator="cpu",
        enable_progress_bar=False,
        early_stopping_patience=EPOCHS,  # the best weights are kept anyway
        plan_kwargs={"lr": lr},
    )
    return model


def scores(clusters, suffix):
    found = mixvi.metrics.clustering_scores(labels, clusters)
    return {f"{name} {suffix}": found[key] for name, key in NAMES.items()}


NAMES = {"ARI": "ari", "NMI": "nmi", "accuracy": "acc"}


def clusters_of(model):
    """The model's clusters; for one component, a normal mixture fitted to the latent space."""
    if model.module.prior.n_components > 1:
        return model.predict()
    torch.manual_seed(0)
    return mixvi.train.fit_start(model.get_latent_representation(), K).argmax(1).astype(str)


def measure(name, model, automatic=None):
    held_out = model.validation_indices
    latent[name] = model.get_latent_representation()
    clusters[name] = clusters_of(model)
    row = {
        "bound": float(model.get_elbo(indices=held_out)),
        "log-likelihood": model.get_marginal_ll(indices=held_out, n_mc_samples=100),
        **scores(clusters[name], f"K={K}"),
    }
    if automatic is not None:
        row |= {"clusters": len(automatic.cluster_names_), **scores(automatic.predict(), "auto")}
    results[name] = row
    print(", ".join(f"{key} {value:.4g}" for key, value in row.items()))


def picture(z, **colors):
    """A UMAP of the cells, once for every coloring."""
    cells = ad.AnnData(obs=pd.DataFrame(index=adata.obs_names), obsm={"z": np.asarray(z)})
    sc.pp.neighbors(cells, use_rep="z", random_state=0)
    sc.tl.umap(cells, random_state=0)
    panels({title: (cells.obsm["X_umap"], groups) for title, groups in colors.items()})


def panels(drawn, legend=False):
    """One scatter plot for every (points, groups)."""
    width = 4 * len(drawn) + 2.2 * legend
    figure, axes = plt.subplots(1, len(drawn), figsize=(width, 3), layout="constrained")
    for ax, (title, (points, groups)) in zip(axes, drawn.items(), strict=True):
        names = pd.Categorical(groups)
        for code, name in enumerate(names.categories):
            ax.scatter(*points[names == name].T, color=plt.cm.tab10(code), s=4, label=name)
        ax.set(title=title.replace("_", " "), xticks=[], yticks=[])
        if len(names.categories) == 2:  # the batches; cell types are named in the first picture
            ax.legend(frameon=False, markerscale=3, fontsize=8)
    if legend:
        handles, found = axes[0].get_legend_handles_labels()
        figure.legend(handles, found, loc="outside right upper", frameon=False, markerscale=3)


# %% [markdown]
# ## 1. A linear autoencoder is PCA
#
# An encoder and a decoder without hidden layers, with a normal likelihood, find the subspace of the
# first principal components. In mixvi this is `RMVE` with one unit component and `n_layers=0`. The
# genes have to be on one scale (every gene has a noise of its own in this model, which makes it
# factor analysis), so we log-normalize and standardize them, for this step only.

# %%
scaled = adata.copy()
sc.pp.normalize_total(scaled)
sc.pp.log1p(scaled)
scaled.X = scaled.X.toarray()
sc.pp.scale(scaled)

linear = {"covariance": "unit", "n_layers": 0, "input_dropout": 0.0, "dropout_rate": 0.0}
model = fit(RMVE, 1, scaled, lr=1e-2, n_latent=2, norm="none", gene_likelihood="normal", **linear)
z = model.get_latent_representation()
pca = PCA(2).fit(scaled.X)
codes = pca.transform(scaled.X)
correlations = np.cos(subspace_angles(z - z.mean(0), codes))
decoder = model.module.likelihood.loc.weight.detach().numpy()
angles = np.degrees(subspace_angles(decoder, pca.components_.T))
print("canonical correlations of the codes with two principal components:", correlations.round(2))
print("angles between decoder and principal components, degrees:", angles.round())

# %%
rotation = np.linalg.lstsq(z - z.mean(0), codes, rcond=None)[0]
drawn = {"PCA": codes, "linear autoencoder": (z - z.mean(0)) @ rotation}
panels({title: (points, labels) for title, points in drawn.items()}, legend=True)
# %% [markdown]
# The two agree up to a few degrees. (The linear model has a noise for every gene, PCA does not, and
# the run is short. Where genes are equally noisy and the run is longer the two are the same.) The
# axes within the subspace are arbitrary up to a rotation, so the codes were brought onto the
# principal components by a linear map before drawing.
#
# To compare with what follows we need the same data, the counts: a linear code and a linear decoder
# with a negative binomial likelihood, in ten dimensions. It knows no clusters; for the table we fit
# a normal mixture to its latent space *afterwards*. This two-step recipe is the baseline for all
# the models that do both at once.

# %%
measure("linear", fit(RMVE, 1, **linear))

# %% [markdown]
# ## 2. From lines to curves: the VAE
#
# The idea: networks in place of the matrices. Above the latent space still stands one standard
# normal distribution. With a negative binomial likelihood this is, in essence, scVI.

# %%
vae = fit(RMVE, 1, covariance="unit")
measure("VAE", vae)
picture(latent["VAE"], VAE_by_cell_type=labels, mixture_fitted_afterwards=clusters["VAE"])
# %% [markdown]
# ## 3. What is known should not be in z: the conditional VAE
#
# The idea: the decoder is told what we know about a cell, its batch for example, so that z need not
# say it. These cells have no batches, so we make some. Every other cell loses counts, each gene at
# a rate of its own, as with a second chemistry.

# %%
rng = np.random.default_rng(0)
second = np.arange(adata.n_obs) % 2 == 1
counts = adata.X.toarray().astype(int)
counts[second] = rng.binomial(counts[second], rng.uniform(0.1, 1, adata.n_vars))
kept = counts.sum(0) > 0
batches = ad.AnnData(counts[:, kept].astype(np.float32), obs=adata.obs, var=adata.var[kept])
batches.obs["batch"] = pd.Categorical(np.where(second, "second", "first"))


def same_batch(z):
    """Share of a cell's 15 neighbors that come from its batch: 0.5 where batches are mixed."""
    neighbors = NearestNeighbors(n_neighbors=15).fit(z).kneighbors(return_distance=False)
    return (second[neighbors] == second[:, None]).mean()


ignorant = fit(RMVE, 1, batches, covariance="unit")
told = fit(RMVE, 1, batches, setup={"batch_key": "batch"}, covariance="unit")
z, z_told = (model.get_latent_representation() for model in (ignorant, told))
print(f"neighbors of the same batch: VAE {same_batch(z):.2f}, CVAE {same_batch(z_told):.2f}")

# %%
picture(z, VAE_by_batch=batches.obs["batch"], VAE_by_cell_type=labels)
# %%
picture(z_told, CVAE_by_batch=batches.obs["batch"], CVAE_by_cell_type=labels)
# %% [markdown]
# A conditional decoder can also be asked what a cell would look like in the other batch. The true
# answer is known here, as we made the batch:

# %%
decoded = [
    told.get_normalized_expression(transform_batch=batch).mean() for batch in ("first", "second")
]
shares = batches.to_df().div(batches.to_df().sum(axis=1), axis=0)
observed = shares.groupby(batches.obs["batch"], observed=True).mean()
often = (observed > 1e-4).all()  # rare genes are noise
decoded_change = np.log(decoded[1][often] / decoded[0][often])
observed_change = np.log(observed.loc["second", often] / observed.loc["first", often])
correlation = np.corrcoef(decoded_change, observed_change)[0, 1]
print(f"correlation of decoded and observed log fold changes: {correlation:.2f}")

# %% [markdown]
# From here on we return to the cells as they were, without batches.
#
# ## 4. A component for every cell: VaDE
#
# The idea: not one normal distribution above z but a mixture, *while* the networks are trained. A
# component is a cluster. Given z, Bayes' rule says how probable each component is, and the
# component sums out of the bound.
#
# From now on there are two clusterings in every step: with K given, and with
# `n_components="auto"`, which trains 30 components and merges them into as many clusters as their
# merge tree suggests.

# %%
mixture = {"covariance": "diag"}
vade = fit(RMVE, K, **mixture)
measure("VaDE", vade, fit(RMVE, "auto", **mixture))
picture(latent["VaDE"], VaDE_by_cell_type=labels, VaDE_by_cluster=clusters["VaDE"])
# %% [markdown]
# ## 5. Components that keep apart: RMVE with repulsion
#
# The idea: a prior of all components together, which wants them separate. `repulsion="mmd"`
# measures separation by the maximum mean discrepancy of two components. What it should change is
# how much components overlap: below, the sum over pairs of their Bhattacharyya coefficient (0 for
# components that share nothing, 1 for equal ones), and how many cells are left without a clear
# component (confidence below 0.9).

# %%


def overlap(model):
    table = model.get_components()
    moments = (torch.as_tensor(x.to_numpy()) for x in (table.means, table.scales**2))
    b = mixvi.priors.bhattacharyya(*moments)
    return b.triu(1).sum().item()


repelled = {
    f"strength {strength}": fit(RMVE, K, repulsion="mmd", repulsion_strength=strength)
    for strength in (0, 1)
}
pd.DataFrame(
    {
        name: {
            "overlap": overlap(model),
            "unsure cells": (model.predict_proba().max(axis=1) < 0.9).mean(),
        }
        for name, model in repelled.items()
    }
).T.round(2)

# %%
measure("RMVE", repelled["strength 1"], fit(RMVE, "auto", repulsion="mmd"))
picture(latent["RMVE"], RMVE_by_cell_type=labels, RMVE_by_cluster=clusters["RMVE"])
# %% [markdown]
# Components overlap less and fewer cells are unsure. The bound of this model contains the
# repulsion, λ log h ≤ 0 for every cell; the log-likelihood is that of the cells alone, and
# comparable with the others.
#
# The draft that RMVE comes from factors the recognition the other way round: every component has an
# encoding q(z | x, y) of its own, and all components have unit variance. It is trained with one
# pass of the decoder for every component, so we leave `"auto"` with its 30 components out.

# %%
draft = {"encoder": "y_conditional", "covariance": "unit", "repulsion": "mmd"}
measure("RMVE, draft", fit(RMVE, K, **draft))
draft = clusters["RMVE, draft"]
picture(latent["RMVE, draft"], RMVE_draft_by_cell_type=labels, RMVE_draft_by_cluster=draft)
# %% [markdown]
# ## 6. Components that move: GMVAE
#
# The idea: a second latent variable, the style w, moves all components, so that a cluster need not
# be an ellipsoid. All clusters are equally probable beforehand.

# %%
gmvae = {"dirichlet": None, "covariance": "diag"}
model = fit(CGMDVAE, K, **gmvae)
measure("GMVAE", model, fit(CGMDVAE, "auto", **gmvae))
picture(latent["GMVAE"], GMVAE_by_cell_type=labels, GMVAE_by_cluster=clusters["GMVAE"])
print("use of the style's dimensions:", np.round(model.style_use_, 4))
# %% [markdown]
# A dimension of the style counts as used above 0.01, and none is: these cells are explained without
# a style. It stays silent unless the data ask for one.
#
# ## 7. How sure should a cell be: CGMDVAE
#
# The idea: a Dirichlet above the component, and covariates in every arrow that should see them. α
# says how sure of its component a cell should be: at a small α, below about 0.2, being sure is
# cheaper than being undecided, at a larger one it is not.

# %%
alphas = {f"alpha {alpha:g}": fit(CGMDVAE, K, alpha=alpha) for alpha in (1, 0.05)}
pd.DataFrame(
    {
        name: {
            "unsure cells": (model.predict_proba().max(axis=1) < 0.9).mean(),
            "ARI": mixvi.metrics.adjusted_rand_index(labels, model.predict()),
        }
        for name, model in alphas.items()
    }
).T.round(3)

# %%
measure("CGMDVAE", alphas["alpha 1"], fit(CGMDVAE, "auto"))
picture(latent["CGMDVAE"], CGMDVAE_by_cell_type=labels, CGMDVAE_by_cluster=clusters["CGMDVAE"])
# %% [markdown]
# ## Side by side

# %%
table = pd.DataFrame(results).T
table["clusters"] = table["clusters"].astype("Int64")
table.round(2)

# %%
_, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained", sharey=True)
rows = np.arange(len(table))
axes[0].plot(table["bound"], rows, "o", label="bound")
axes[0].plot(table["log-likelihood"], rows, "D", label="log-likelihood")
axes[0].set(xlabel="held-out cells, nats per cell", yticks=rows, yticklabels=table.index)
for ax, score in zip(axes[1:], ("ARI", "NMI"), strict=True):
    ax.plot(table[f"{score} K={K}"], rows, "o", label=f"K = {K}")
    ax.plot(table[f"{score} auto"], rows, "D", label="auto")
    ax.set(xlabel=f"{score} against the labels", xlim=(0, 1))
axes[0].invert_yaxis()
for ax in axes:
    ax.grid(axis="y", alpha=0.3)
    ax.legend(frameon=False, fontsize="small", loc="lower left")
# %% [markdown]
# Before reading the columns: how much of them is chance? Two members again with other seeds
# (which also hold out other cells, so only clusters can be compared), and how much the members'
# clusters agree with each other.

# %%
members = {"linear": (RMVE, 1, linear), "CGMDVAE": (CGMDVAE, K, {})}
pd.DataFrame(
    {
        name: {
            f"ARI, seed {seed}": mixvi.metrics.adjusted_rand_index(
                labels, clusters_of(fit(cls, n, seed=seed, **settings)) if seed else clusters[name]
            )
            for seed in range(3)
        }
        for name, (cls, n, settings) in members.items()
    }
).T.round(2)

# %%
agreement = {
    one: {
        other: mixvi.metrics.adjusted_rand_index(clusters[one], clusters[other])
        for other in clusters
    }
    for one in clusters
}
pd.DataFrame(agreement).round(2)

# %% [markdown]
# What the steps bought, on these cells:
#
# * **From lines to curves** is the largest step in how well held-out cells are explained, more than
#   five nats per cell. The linear model is behind everything else.
# * **A mixture in place of one normal distribution** (VaDE, RMVE) adds three nats
#   to the log-likelihood; GMVAE and CGMDVAE add one. In the bound VaDE gains three nats over the
#   VAE, and repulsion costs one of them. On 70 held-out cells all of this is small.
# * **The clusters are about equally close to the labels in all members.** An ARI differs by 0.04
#   between members and by 0.06 between seeds, of labels that were transferred cell by cell, so the
#   table has no winner. The number of clusters that `"auto"` finds, 10 or 11, is near the number of
#   labels, too. Even the linear model
#   with a mixture fitted afterwards keeps up. All members agree much more with each other (0.75 and
#   above, last table) than any of them with the labels (0.53 and below).
#
# So choose a member by what you want to *ask* it, not by this table: a conditional decoder for
# batches and for "what if", a mixture for probabilities and for clusters that the decoder knows,
# repulsion where components overlap too much, the Dirichlet to say how sure a cell should be. A
# data set with batches, conditions or known labels is where the richer members have something to
# do; this one has none of them. The settings of every member are in the user guide, *From PCA to a
# mixture of Dirichlets*; the measured comparisons with other methods are on the benchmarks page.
