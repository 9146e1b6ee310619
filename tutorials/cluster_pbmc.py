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
# likelihood made for counts. In that space it keeps a *mixture* of bell-shaped components. They
# are the clusters, and because they are distributions, a cell has a probability for each.
#
# Everything here runs in one or two minutes on a laptop, without a GPU and without a download.

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
# `n_components` is the number of clusters, and the one setting to think about. It is better too
# large than too small: a type that is cut in two is easy to put together again, a rare type that
# was swallowed by another is lost.

# %%
mixvi.model.CGMDVAE.setup_anndata(adata)
model = mixvi.model.CGMDVAE(adata, n_components=12)
model.train(accelerator="cpu", enable_progress_bar=False)
print(model)

# %% [markdown]
# Training has two phases. For the first 60 % of the epochs the model is a plain autoencoder without
# any components (above the latent space stands a single standard normal, as in scVI). Then a normal
# mixture is fitted to the latent space, the components start from it, and everything is trained
# together. One thing is worth a look every time: the objective on the 10 % of cells that were held
# out (lower is better). It should have flattened; here it still falls a little, so a longer run
# (`max_epochs=`) would be worth a try. The components start at the dashed line.

# %%
elbo = model.history["elbo_validation"].astype(float)
start = model.history["kl_y_validation"].index[0]  # this term exists in the joint phase only
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
# * B cells, progenitors (CD34+), NK cells and most dendritic cells sit in clusters of their own.
# * The B-labeled cells form two islands. We will see below why.
# * The T cells are one continuum, which the model cuts into a few pieces. The borders between the
#   pieces are where the confidence drops.
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
# ## The components
#
# A component is a row of three tables: its share of the cells, its mean and its spread in the
# latent space. By default all components have the same spread (`covariance="tied"`), so none of
# them can win cells just by being wide.

# %%
components = model.get_components()
mostly = adata.obs.groupby("cgmdvae", observed=True)["cell_type"].agg(lambda types: types.mode()[0])
pd.DataFrame({"share": components.weights.round(3), "mostly": mostly}).sort_values("share")

# %% [markdown]
# What would a typical cell of a component look like? The model can say: `get_component_profiles`
# decodes the center of each component into expression, free of counting noise. Next to the mean of
# the other components it gives each cluster's most characteristic genes, here as log2 fold changes
# of counts per 10,000, with one count added so that rare genes do not win by accident.

# %%
profiles = model.get_component_profiles(library_size=1e4)
others = (profiles.sum() - profiles) / (len(profiles) - 1)
log2fc = np.log2((profiles + 1) / (others + 1))
top = {
    name: ", ".join(f"{gene} ({value:.1f})" for gene, value in row.nlargest(5).items())
    for name, row in log2fc.iterrows()
}
with pd.option_context("display.max_colwidth", None):
    display(pd.DataFrame({"mostly": mostly, "highest against the others": pd.Series(top)}))

# %% [markdown]
# This answers the question of the two islands of B-labeled cells: one has the genes of B cells
# (MS4A1, CD79A), the other those of plasma cells (MZB1, TNFRSF17, IGJ). The labels do not know
# plasma cells. The dendritic cells, too, are two kinds: FCER1A and CLEC10A mark the large cluster,
# IRF8 and CPVL the small one.
#
# And one cluster deserves suspicion: the small one that hangs between B and T cells. Its labels are
# a mixture, and no gene of it stands out as in the others. It may hold doublets or cells of low
# quality; nothing on this page can tell.
#
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
# They are mostly neighbors on the UMAP: clusters of T and NK cells among each other, and the two
# clusters of monocytes. There are few such cells, though, and that calls for a warning:
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
# The model is sure on which side of its borders a cell lies. It does not know whether the borders
# are in the right places. For that, train again with another seed and see which clusters return:

# %%
scvi.settings.seed = 1
again = mixvi.model.CGMDVAE(adata, n_components=12)
again.train(accelerator="cpu", enable_progress_bar=False)
table = mixvi.metrics.contingency(adata.obs["cgmdvae"], again.predict())
overlap = table.max(axis=0) / table.sum(axis=0)  # columns are the clusters of the first model
agreement = mixvi.metrics.adjusted_rand_index(adata.obs["cgmdvae"], again.predict())
print(f"adjusted Rand index between the two runs: {agreement:.2f}")
pd.DataFrame({"mostly": mostly, "found again": overlap.round(2)}).sort_values("found again")

# %% [markdown]
# "Found again" is the largest share of a cluster that stayed together in the second run. Clusters
# near one were not torn apart by another seed (they may have been merged with others). Treat the
# rest as *one* way to cut a continuum. Two runs are a quick look; five are better.
#
# ## Novelty: is the cell anywhere near the clusters?
#
# `cgmdvae_novelty` asks another question. It is −log p(z): large where the fitted mixture has
# little mass, wherever the borders are. What it is good for is best seen with cells that the model
# has never met. We train on all cells but the B and plasma cells and the progenitors, and then
# annotate all of them.

# %%
unseen = adata.obs["cell_type"].isin(["CD19+ B", "CD34+"])
scvi.settings.seed = 0
reference = mixvi.datasets.pbmc()[~unseen.to_numpy()].copy()
mixvi.model.CGMDVAE.setup_anndata(reference)
partial = mixvi.model.CGMDVAE(reference, n_components=12)
partial.train(accelerator="cpu", enable_progress_bar=False)
everyone = mixvi.datasets.pbmc()
partial.annotate(everyone)

groups = pd.Series(
    np.where(unseen, everyone.obs["cell_type"], "seen in training"), everyone.obs_names
)
columns = ["cgmdvae_novelty", "cgmdvae_confidence"]
everyone.obs[columns].groupby(groups).median().round(2)

# %%
_, ax = plt.subplots(figsize=(5, 3), layout="constrained")
bins = np.linspace(*everyone.obs["cgmdvae_novelty"].quantile([0, 0.995]), 25)
for name, values in everyone.obs["cgmdvae_novelty"].groupby(groups):
    ax.hist(values, bins, density=True, histtype="step", linewidth=2, label=name)
_ = ax.set(xlabel="novelty, nats", ylabel="density")
_ = ax.legend(frameon=False)
# %% [markdown]
# Two lessons:
#
# * The progenitors stand out clearly. The B cells have a higher novelty than most cells, but many
#   of them overlap with what was seen in training: a network that never met a B cell may put it on
#   top of something it knows. **High novelty is a reason to look. Low novelty is no proof.**
# * Confidence does not replace it. A cell far from all clusters can still be far closer to one of
#   them than to any other: the median confidence of the B cells that the model never saw is one.
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
# mixvi.tl.cgmdvae(adata, n_components=12, rng=0)
# ```
#
# which sets up, trains and annotates. Take the model itself when you want to question it.
