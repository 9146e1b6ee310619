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
# # How to choose a model, and the number of clusters
#
# Two questions come up in every project: which model, and how many clusters. Neither has an answer
# that a program could look up. But some numbers help, and others only look as if they did. We go
# through them twice: with simulated cells, where the truth is known, and with blood cells, where
# nobody knows it.
#
# It takes two minutes on a laptop, without a GPU and without a download.

# %%
import logging
import warnings

warnings.filterwarnings("ignore", message="IProgress not found")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scanpy as sc
import scvi

import mixvi

for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")
scvi.settings.verbosity = logging.WARNING
plt.rcParams["figure.dpi"] = 64  # small pictures for a small notebook


def fit(adata, Model=mixvi.model.CGMDVAE, seed=0, **settings):
    """A trained model. The same seed holds out the same cells, whatever the settings."""
    scvi.settings.seed = seed
    Model.setup_anndata(adata)
    model = Model(adata, **settings)
    model.train(accelerator="cpu", enable_progress_bar=False)
    return model


# %% [markdown]
# ## When there is a number
#
# Six hundred simulated cells of six types; the largest has four times the cells of the smallest. We
# do not tell the model that there are six. By default (`n_components="auto"`) it takes 30
# components, more than anyone expects types, trains with all of them, and then merges those that do
# not stand apart.

# %%
simulated = mixvi.datasets.simulate(600, 150, n_components=6, imbalance=4, rng=0)
model = fit(simulated)
model.annotate()
print(model)

# %%
_ = mixvi.pl.merge_tree(simulated)

# %% [markdown]
# On the left of the dashed line are merges within a type, which cost little. Then for a long way
# there is nothing, and on the far right the types are joined. Such a gap is what a number of
# clusters looks like, and any cut in the gap gives six.
#
# Thirty is an upper bound, not a guess. The same tree can be cut anywhere, and nothing is trained
# again: with more clusters than there are types, types are cut; with fewer, types are joined.


# %%
def against_truth(model):
    """Clusters, and their agreement with the simulated types."""
    scores = mixvi.metrics.clustering_scores(simulated.obs["component"], model.predict())
    return {"clusters": len(model.cluster_names_), "ARI": round(scores["ari"], 2)}


rows = {}
for number in (4, 12, None):
    model.merge_components(number)
    rows["suggested" if number is None else f"cut at {number}"] = against_truth(model)
pd.DataFrame(rows).transpose().astype({"clusters": int})

# %% [markdown]
# A number that you give to the model is different: `n_components=12` trains twelve components and
# merges nothing, so there are that many clusters, no more and no fewer. Types that were cut can be
# mended afterwards by `merge_components`, joined ones cannot. So if in doubt, ask for too many.
#
# ## When there is none
#
# Now blood cells. Their labels are put aside until later.

# %%
adata = mixvi.datasets.pbmc()
model = fit(adata)
model.annotate()
print(model)

# %%
_ = mixvi.pl.merge_tree(adata)

# %% [markdown]
# There is no gap in this tree. The dashed line is where a fixed rule stops, before the first merge
# that would cost 14 % or more of what separates all components. A little to the left or to the
# right, and there are some clusters more or fewer.
#
# `suggest_n_components` cuts the tree everywhere and says what each number would mean. To its two
# columns, the held-out ELBO and the cost of merging once more, we add a third: whether the clusters
# *come back*. For that we train twice more, once with another seed and once the other model of
# mixvi, `RMVE`; cut all three trees at the same number, and ask how much of every cluster is found
# again.

# %%
others = {"other_seed": fit(adata, seed=1), "rmve": fit(adata, mixvi.model.RMVE)}
table = model.suggest_n_components()


def cut(model, n_clusters):
    """The clusters of another cut of a model's tree; nothing is trained."""
    model.merge_components(n_clusters)
    return pd.Series(model.predict(), index=adata.obs_names)


numbers = range(2, 21)
table["stability"] = pd.Series(
    {
        number: mixvi.metrics.cluster_stability(
            cut(model, number), [cut(other, number) for other in others.values()]
        ).mean()
        for number in numbers
    }
)
for each in (model, *others.values()):
    each.merge_components()  # back to the suggested number
_ = mixvi.pl.suggested_components(table.loc[1:20])

# %%
table.loc[2:20].round(2).transpose()

# %% [markdown]
# The three panels answer different questions.
#
# * The **held-out ELBO** grows with nearly every further cluster and never turns. More clusters
#   describe the cloud of cells a little better, whether or not they are types. Beyond a handful it
#   is a tenth of a nat per cell or two; there is no kink to point at.
# * The **cost of merging** falls without a step; the suggested number is where the rule of 14 %
#   lies.
# * The **stability** is the only one that asks about other runs. Two, three and four clusters are
#   found again almost cell by cell; up to nine, most of every cluster is. Beyond that, a good
#   part of a cluster depends on the run.
#
# So here are the honest answers: four for lineages, eight for clusters that another run would find
# again, and nine, which the rule says, for candidates to look at. All three are cuts of one tree,
# nested in each other.
#
# ## What the held-out likelihood cannot say
#
# A popular way to choose a number: train a model for each, and take the one with the best ELBO on
# cells that were held out. Here the same 70 cells are held out every time. The ELBO is an average
# over draws of the latent space, so we draw twenty times; the last column says how far single draws
# are apart.

# %%
models = {
    "CGMDVAE, auto": model,
    "CGMDVAE, n_components=4": fit(adata, n_components=4),
    "RMVE, auto": others["rmve"],
    "standard normal prior": fit(adata, mixvi.model.RMVE, n_components=1, covariance="unit"),
}
held_out = {name: set(each.validation_indices) for name, each in models.items()}
assert all(cells == held_out["CGMDVAE, auto"] for cells in held_out.values())


def held_out_elbo(model, n_draws=20):
    """Mean and standard deviation over draws of the ELBO per held-out cell."""
    cells = model.validation_indices
    draws = [float(model.get_elbo(indices=cells)) for _ in range(n_draws)]
    return {"held-out ELBO": np.mean(draws), "of one draw, ±": np.std(draws)}


summary = pd.DataFrame({name: held_out_elbo(each) for name, each in models.items()}).transpose()
summary.insert(0, "clusters", [len(each.cluster_names_) for each in models.values()])
summary.round(1)

# %% [markdown]
# The models with a mixture, whether they have 4 or 30 components and one prior or the other, are
# up to two and a half nats apart, of 656, and the order is not that of the number. **The held-out
# ELBO does not tell the number of clusters.** What it does tell is the last row: with a standard
# normal above the latent space, held-out cells are described worse by two to five nats. It can
# reject a bad model; it cannot choose among good ones.
#
# ## CGMDVAE or RMVE, or no mixture at all?
#
# The last model of the table is a plain variational autoencoder, as a setting of `RMVE`: one
# component, so that nothing clusters. Its latent space can be cut with Leiden, as one does after
# scVI. Then there is a resolution to choose in place of a number. Now we open the labels.

# %%
others["rmve"].annotate()
z = models["standard normal prior"].get_latent_representation()
adata.obsm["X_vae"] = z
sc.pp.neighbors(adata, use_rep="X_vae", random_state=0)
for resolution in (0.5, 1.0):
    sc.tl.leiden(
        adata,
        resolution=resolution,
        key_added=f"leiden_{resolution:g}",
        flavor="igraph",
        n_iterations=2,
        random_state=0,
    )
found = ["cgmdvae", "rmve", "leiden_0.5", "leiden_1"]
pd.DataFrame(
    {
        name: mixvi.metrics.clustering_scores(adata.obs["cell_type"], adata.obs[name])
        for name in found
    }
).T[["n_clusters", "ari", "nmi"]].round(2)

# %% [markdown]
# On these labels they are all alike; the differences are those between two seeds of one method. The
# labels were transferred from sorted cells, and cut the T cells in ways that 765 genes do not show.
# So do not choose a model by such a score. The clusters themselves look like this, on one UMAP:

# %%
sc.pp.neighbors(adata, use_rep="X_cgmdvae", random_state=0)
sc.tl.umap(adata, random_state=0)
figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
for axis, name in zip(axes, ["cgmdvae", "rmve", "leiden_1"], strict=True):
    sc.pl.umap(adata, color=name, ax=axis, show=False, legend_loc="on data", frameon=False)

# %% [markdown]
# And how the clusters of the two models correspond. Rows are those of RMVE, and add up to one.

# %%
_ = mixvi.pl.contingency(adata, key="rmve", label_key="cgmdvae")

# %% [markdown]
# The islands are the same in both: monocytes (0), dendritic cells (1 and 6 of CGMDVAE), B cells
# (3), plasma cells (7) and progenitors (8). T and NK cells (2, 4, 5) are cut elsewhere, as another
# seed does, too.
#
# Choose by what you need, then:
#
# * **`CGMDVAE`**, if there are conditions to predict or a style to look at, or if you want to say
#   how sure of its cluster a cell should be (`alpha`). It is the default of the command line.
# * **`RMVE`**, if you want the plainest mixture: nothing but the number of components needs a
#   thought. On the ten data sets of the benchmarks the two are close.
# * **A standard normal prior and Leiden**, if you do not need probabilities, a density that says
#   which cells are new, or clusters that can be mapped onto.
#
# ## Which clusters to believe
#
# Last, the question that matters more than the number: which of the nine would another run find,
# or the other model? Both are there already.

# %%
others["other_seed"].annotate(key_added="other_seed")
mixvi.tl.stability(adata, list(others))
pd.DataFrame(
    {
        "cells": adata.obs["cgmdvae"].value_counts(),
        "stability": adata.uns["cgmdvae_stability"]["stability"],
        "mostly": adata.obs.groupby("cgmdvae", observed=True)["cell_type"].agg(
            lambda types: types.mode()[0]
        ),
    }
).sort_values("stability").round(2)

# %% [markdown]
# Both kinds of dendritic cells (1, 6), monocytes (0), B cells (3), plasma cells (7) and
# progenitors (8) come back nearly cell by cell. The T and NK cells are a continuum with borders
# that move. Give names to the former; for the latter, cut the tree further to the right
# (`mixvi.tl.merge_components(adata, 6)`), or work with the probabilities.
#
# ## In short
#
# * **How many components?** `"auto"`, which is 30: an upper bound. In doubt take more.
# * **How many clusters?** Look at the merge tree. If there is a gap, cut there; if not, take the
#   number that comes back in other runs. Neither the held-out ELBO nor a score against labels
#   can say.
# * **Coarser or finer?** `mixvi.tl.merge_components`, without training.
# * **Which clusters are real?** `mixvi.tl.stability` and marker genes. The confidence says nothing
#   about where borders should be.
# * **Which model?** The one that can answer your questions; scores hardly differ.
# * **Is the model any good?** Compare its held-out ELBO with that of a standard normal prior, and
#   look at the training curves.
