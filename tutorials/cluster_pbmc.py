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
# # Cluster blood cells
#
# For readers who know scanpy, and not necessarily variational autoencoders. We go from raw counts
# to clusters, look at what the clusters express, and spend half of the time on the question that
# matters most afterwards: how much of it to believe.
#
# In scanpy one would normalize, take principal components, build a neighbor graph and cut it with
# Leiden. `CGMDVAE` replaces these steps by one model of the raw counts. It places every cell in a
# *latent space* of few dimensions, like PCA does, but through a neural network and with a
# likelihood made for counts. In that space it keeps a *mixture* of many bell-shaped components,
# and it joins those that do not stand apart into clusters. Because components are distributions, a
# cell has a probability for every one of them, and so for every cluster.
#
# Everything here runs in a few minutes on a laptop, without a GPU and without a download.

# %%
import logging
import tempfile
import warnings
from pathlib import Path

warnings.filterwarnings("ignore", message="IProgress not found")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scanpy as sc
import scvi
from IPython.display import display

import mixvi

# The libraries below say a lot about hardware and progress; we do not need it here.
for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")
scvi.settings.verbosity = logging.WARNING
scvi.settings.seed = 0
plt.rcParams["figure.dpi"] = 64  # small pictures for a small notebook

# %% [markdown]
# ## The cells
#
# 700 blood cells and 765 genes that come with scanpy, brought back to raw counts. The labels in
# `cell_type` were transferred from sorted reference populations. They are useful, but they are not
# the truth; we keep them out of the model and look at them afterwards.

# %%
adata = mixvi.datasets.pbmc()
print(adata)

# %%
adata.obs["cell_type"].value_counts()

# %% [markdown]
# ## The model
#
# Three steps, the same as for every model of scvi-tools: say where things are, make the model,
# train it. Raw counts are in `X` and there is only one batch, so `setup_anndata` needs no further
# arguments. With several donors one would add `batch_key="donor"`. Do *not* pass `labels_key` just
# because there are labels: the model would learn from them.
#
# The number of clusters need not be given: by default the model has 30 components, more than there
# are types, and merges them as long as little is lost. We come back to what that means.

# %%
mixvi.model.CGMDVAE.setup_anndata(adata)
model = mixvi.model.CGMDVAE(adata)
model.train(accelerator="cpu", enable_progress_bar=False)
print(model)

# %% [markdown]
# A mixture that is trained from scratch leaves most of its components unused, so training has
# phases. For the first 60 % of the epochs the model is a plain autoencoder without any components
# (above the latent space stands a single standard normal, as in scVI). Then a normal mixture is
# fitted to the latent space, the 30 components start from it, and everything is trained together
# to the end. Last, components are merged to clusters. One thing is worth a look every time: the
# objective on the 10 % of cells that were held out (lower is better). It should have flattened, as
# it has here; if it still falls, try a longer run (`max_epochs=`). The components start at the
# dashed line.

# %%
elbo = model.history["elbo_validation"].astype(float)
start = model.history["kl_y_validation"].index[0]  # this term needs components
_, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.plot(elbo.index, elbo.to_numpy().ravel())
ax.axvline(start, color="gray", linestyle="--")
_ = ax.set(xlabel="epoch", ylabel="objective, nats per cell", ylim=(None, elbo.iloc[5].item()))
# %% [markdown]
# ## Into AnnData, and on with scanpy
#
# `annotate` writes everything into `adata`. From here on it is scanpy as usual, with `X_cgmdvae`
# in place of `X_pca`.

# %%
model.annotate()
sc.pp.neighbors(adata, use_rep="X_cgmdvae", random_state=0)
sc.tl.umap(adata, random_state=0)
print(adata)

# %%
_ = mixvi.pl.umap_panels(adata, label_key="cell_type")
# %% [markdown]
# The UMAP only draws; the clusters were not made from it. What it shows:
#
# * B cells, progenitors (CD34+) and most dendritic cells sit in clusters of their own.
# * The B-labeled cells form two islands. We will see below why.
# * T and NK cells are one continuum, which the model cuts into a few pieces. The borders between
#   the pieces are where the confidence drops.
#
# The same as a table: which labels each cluster is made of. Rows add up to one.

# %%
_ = mixvi.pl.contingency(adata, label_key="cell_type")
# %%
pd.Series(mixvi.metrics.clustering_scores(adata.obs["cell_type"], adata.obs["cgmdvae"])).round(2)

# %% [markdown]
# These scores are middling (1 is perfect), and the table says where that comes from. Labels of
# T cell subtypes are spread over the T cell clusters; monocyte and dendritic labels share clusters.
# Part of it is the model: 765 genes and 700 cells are not much to tell T cell subtypes apart. Part
# of it is the labels, which were transferred cell by cell. Scores alone cannot tell the two apart.

# %% [markdown]
# ## How many clusters?
#
# There is no right number; there is a tree. Its leaves are the 30 components, with their shares of
# the cells. From left to right, the two least separate are joined first, and the further right two
# branches meet, the more they differ. The number of clusters is where the tree is cut: at the
# dashed line, before the first merge that would cost 14 % or more of what separates the components.

# %%
_ = mixvi.pl.merge_tree(adata)
# %% [markdown]
# What would another number cost? No model is trained again for this: the tree is cut everywhere.
# The upper panel says how well each number of clusters describes held-out cells (higher is better),
# the lower one what it would cost to merge once more.

# %%
table = model.suggest_n_components()
_ = mixvi.pl.suggested_components(table)
# %% [markdown]
# Neither curve has a kink at nine. Nine is what a fixed rule gives, not a discovery: one cluster
# fewer or more describes held-out cells almost equally well. Take it as a start, and cut elsewhere
# for coarser or finer questions. That takes no training either, and with a name of its own it
# leaves the first clusters where they are:

# %%
mixvi.tl.merge_components(adata, 6, key_added="lineage")
sc.pl.umap(adata, color=["lineage", "cgmdvae"], legend_loc="on data", frameon=False)

# %% [markdown]
# Now there are three levels in `adata.obs`: `lineage` (6), `cgmdvae` (9) and the components that
# both are merged from, `cgmdvae_component` (30). The six are what one would call lineages: T and NK
# cells, dendritic cells, monocytes, B cells, plasma cells (we will see why) and progenitors.
# The two islands of dendritic cells are one again, although they are far apart on the UMAP.


# %%
def most_common(types):
    return ", ".join(f"{name} ({n})" for name, n in types.value_counts().head(2).items() if n)


by_lineage = adata.obs.groupby("lineage", observed=True)
with pd.option_context("display.max_colwidth", None):
    display(
        pd.DataFrame(
            {
                "cells": by_lineage.size(),
                "clusters": by_lineage["cgmdvae"].agg(lambda names: sorted(set(names), key=int)),
                "most common labels": by_lineage["cell_type"].agg(most_common),
            }
        )
    )

# %% [markdown]
# ## What a cluster expresses
#
# What would a typical cell look like? The model can say: `get_component_profiles` decodes the
# center of each component into expression, free of counting noise. A cluster is the mean of its
# components, by their shares. Next to the mean of the other clusters it gives each cluster's most
# characteristic genes, here as log2 fold changes of counts per 10,000, with one count added so that
# rare genes do not win by accident.

# %%
share = model.get_components().weights
cluster = adata.uns["cgmdvae"]["cluster_of_component"]  # one name for every component
profiles = model.get_component_profiles(library_size=1e4).mul(share, axis=0).groupby(cluster).sum()
profiles = profiles.div(share.groupby(cluster).sum(), axis=0)

others = (profiles.sum() - profiles) / (len(profiles) - 1)
log2fc = np.log2((profiles + 1) / (others + 1))
top = log2fc.apply(
    lambda row: ", ".join(f"{gene} ({value:.1f})" for gene, value in row.nlargest(5).items()),
    axis=1,
)
mostly = adata.obs.groupby("cgmdvae", observed=True)["cell_type"].agg(lambda types: types.mode()[0])
with pd.option_context("display.max_colwidth", None):
    display(pd.DataFrame({"mostly": mostly, "highest against the others": top[mostly.index]}))

# %% [markdown]
# This answers the question of the two islands of B-labeled cells: one has the genes of B cells
# (MS4A1, SPIB), the other those of plasma cells (MZB1, TNFRSF17, IGJ). The labels do not know
# plasma cells. The dendritic cells, too, are two kinds: FCER1A and CLEC10A mark the large cluster,
# IRF8 and CPVL the small one. A few known markers in single cells, as measured, show the same:

# %%
markers = ["MS4A1", "MZB1", "FCER1A", "IRF8", "FCGR3A", "CD3D", "NKG7"]
_ = mixvi.pl.marker_panels(adata, markers)

# %% [markdown]
# ## Differential expression
#
# A profile is a point estimate. To ask which differences are certain, use `differential_expression`
# of scvi-tools, which takes the uncertainty of the latent space into account. Here: the plasma
# cells against all other cells.

# %%
plasma = profiles["MZB1"].idxmax()
de = model.differential_expression(groupby="cgmdvae", group1=plasma, mode="change", silent=True)
de = de.sort_values("proba_de", ascending=False)
de[["proba_de", "lfc_mean", "raw_mean1", "raw_mean2"]].head(8).round(2)

# %% [markdown]
# `proba_de` is the probability that the fold change is large enough to matter, `raw_mean1` and
# `raw_mean2` are mean counts in and outside of the cluster: look at them, too. The clusters were
# made from these genes, so this describes clusters; it does not prove that they exist.
#
# ## Confidence: is the cell between two clusters?
#
# `cgmdvae_confidence` is the probability of the cell's most probable cluster. Low values mean that
# a cell lies between components. Which pairs of clusters is the model undecided about?

# %%
probs = adata.obsm["cgmdvae_probs"]
uncertain = adata.obs["cgmdvae_confidence"] < 0.9
between = [
    " / ".join(sorted(row.nlargest(2).index, key=int)) for _, row in probs[uncertain].iterrows()
]
print(f"{uncertain.sum()} of {adata.n_obs} cells have a confidence below 0.9, between the clusters")
pd.Series(between).value_counts().head(6)

# %% [markdown]
# They are neighbors on the UMAP, and most are T cells, between clusters 2, 4 and 5. There are few
# such cells, though, and that calls for a warning:
# **confidence is about clusters, not about cell types.** Most cells have a confidence near one, and
# still some clusters are a mixture of labels:

# %%
by_cluster = adata.obs.groupby("cgmdvae", observed=True)
pd.DataFrame(
    {
        "mostly": mostly,
        "share of that label": by_cluster["cell_type"].agg(
            lambda types: types.value_counts(normalize=True).iloc[0]
        ),
        "median confidence": by_cluster["cgmdvae_confidence"].median(),
    }
).sort_values("share of that label").round(2)

# %% [markdown]
# The same against the labels, for all cells. A cell is right if its label is the one that its
# cluster is matched to, one label for one cluster. On the diagonal, confidence would be the share
# of cells that are right.

# %%
_ = mixvi.pl.calibration(adata, label_key="cell_type")
# %% [markdown]
# Nearly all cells are in the point at the top right: the model is practically certain of them, and
# about two in three have the label that goes with it. Part of the gap is the ruler. There are two
# clusters of dendritic cells and two of B-labeled cells, and a label can be matched to
# one of them only, so a whole cluster counts as wrong. The rest is as above: labels that are spread
# over clusters. Either way, **do not report this confidence as the probability of a cell type.**
#
# ## Stability: does a cluster come back?
#
# The model is sure on which side of its borders a cell lies. It does not know whether the borders
# are in the right places. For that, train again with other seeds and see which clusters return.
# `mixvi.tl.cgmdvae` does in one call what we did above in steps.

# %%
seeds = ["seed_1", "seed_2", "seed_3"]
train_kwargs = {"accelerator": "cpu", "enable_progress_bar": False}
for seed, name in enumerate(seeds, start=1):
    mixvi.tl.cgmdvae(adata, rng=seed, key_added=name, train_kwargs=train_kwargs)
mixvi.tl.stability(adata, seeds)
adata.obs[seeds].nunique()

# %%
found_again = adata.uns["cgmdvae_stability"]["stability"]
n_cells = adata.obs["cgmdvae"].value_counts().rename("cells")
pd.concat([mostly.rename("mostly"), n_cells, found_again.round(2)], axis=1).sort_values("stability")

# %%
sc.pl.umap(adata, color=["cgmdvae", "cgmdvae_stability"], legend_loc="on data", frameon=False)

# %% [markdown]
# The other runs found 9 to 11 clusters, but not all the same. `stability` is the overlap with
# the most similar cluster of another run (cells in both by cells in either), averaged over the
# runs: 1 is found again cell by cell, below about .6 there is little left of a cluster.
#
# * Both kinds of dendritic cells, B cells, plasma cells and progenitors come back nearly cell by
#   cell, and most of the monocytes do.
# * T and NK cells come back, but cut elsewhere. Treat these borders as *one* way to cut.
#
# Note that confidence did not tell: its median is .99 or more in every cluster.
#
# ## Novelty: is the cell anywhere near the clusters?
#
# `cgmdvae_novelty` asks another question. It is −log p(z): large where the fitted mixture has
# little mass, wherever the borders are. What it is good for is best seen with cells that the model
# has never met. We train on all cells but the B and plasma cells and the progenitors, and then
# annotate all of them. A cell counts as novel here if it is above 95 % of the cells that were seen
# (the dashed line).

# %%
unseen = adata.obs["cell_type"].isin(["CD19+ B", "CD34+"])
scvi.settings.seed = 0
reference = mixvi.datasets.pbmc()[~unseen.to_numpy()].copy()
mixvi.model.CGMDVAE.setup_anndata(reference)
partial = mixvi.model.CGMDVAE(reference)
partial.train(accelerator="cpu", enable_progress_bar=False)
everyone = mixvi.datasets.pbmc()
partial.annotate(everyone)

names = adata.obs["cell_type"].astype(str).mask(adata.obs["cgmdvae"] == plasma, "plasma")
groups = names.where(unseen, "seen in training")
novelty, confidence = everyone.obs["cgmdvae_novelty"], everyone.obs["cgmdvae_confidence"]
limit = novelty[~unseen].quantile(0.95)
pd.DataFrame(
    {
        "cells": groups.value_counts(),
        "median novelty": novelty.groupby(groups).median(),
        f"share above {limit:.1f}": (novelty > limit).groupby(groups).mean(),
        "median confidence": confidence.groupby(groups).median(),
    }
).round(2)

# %%
_, ax = plt.subplots(figsize=(5, 3), layout="constrained")
bins = np.linspace(*novelty.quantile([0, 0.995]), 25)
for name, values in novelty.groupby(groups):
    ax.hist(values, bins, density=True, histtype="step", linewidth=2, label=name)
_ = ax.set(xlabel="novelty, nats", ylabel="density")
ax.axvline(limit, color="gray", linestyle="--")
_ = ax.legend(frameon=False)
# %% [markdown]
# Two lessons:
#
# * More than half of the B cells, two in five plasma cells and a third of the progenitors are
#   novel. The others
#   overlap with what was seen in training: a network that never met a plasma cell may put it on top
#   of something it knows. **High novelty is a reason to look. Low novelty is no proof.**
# * Confidence does not replace it. A cell far from all clusters can still be far closer to one of
#   them than to any other: the median confidence of the unseen plasma cells is one.
#
# ## Keep it
#
# A saved model annotates new cells later, with no further training. They need the same genes, in
# any order.

# %%
with tempfile.TemporaryDirectory() as folder:
    model.save(Path(folder) / "pbmc_model")
    loaded = mixvi.model.CGMDVAE.load(Path(folder) / "pbmc_model", adata=adata)
    adata.write_h5ad(Path(folder) / "pbmc.h5ad")
bool((loaded.predict() == model.predict()).all())

# %% [markdown]
# ## In one call
#
# What most of this page did is also a scanpy-like tool,
#
# ```python
# mixvi.tl.cgmdvae(adata, rng=0)
# ```
#
# which sets up, trains and annotates. Take the model itself when you want to question it.
