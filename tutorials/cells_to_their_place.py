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
# # Cells to their place
#
# To sequence a cell one takes it out of the body, and its place is lost. Where *some* cells still
# have theirs, because they were measured in a tissue section or because it is known which organ
# they are from, a map from the latent space to coordinates can put the others back. We do it in a
# simulated tissue, where the truth is known, and then on a body; and we look for what would make
# such a picture a fairy tale.
#
# It takes two or three minutes on a laptop, without a GPU and without a download.

# %%
import logging
import sys
import warnings

warnings.filterwarnings("ignore", message="IProgress not found")

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scvi

import mixvi

for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.ERROR)
logging.getLogger("mixvi").addHandler(logging.StreamHandler(sys.stdout))  # what it has to say
warnings.filterwarnings("ignore", module="lightning")
scvi.settings.verbosity = logging.WARNING
plt.rcParams["figure.dpi"] = 64  # small pictures for a small notebook

# %% [markdown]
# ## A tissue
#
# Four sections of one tissue, an arch of four layers. Half of the genes have a place around which
# they are high; the others know nothing of it, and each section adds its own technical shift. We
# keep the places of one section to ourselves, as if it had been dissociated.

# %%
adata = mixvi.datasets.simulate_tissue(rng=0)
truth = adata.obsm["spatial"].copy()
lost = (adata.obs["section"] == "section_3").to_numpy()
adata.obsm["spatial"][lost] = np.nan
print(adata)

# %%
figure, axes = plt.subplots(1, 4, figsize=(14, 2.6), layout="constrained", sharey=True)
for axis, (section, cells) in zip(axes, adata.obs.groupby("section", observed=True), strict=True):
    rows = adata.obs_names.get_indexer(cells.index)
    axis.scatter(*adata.obsm["spatial"][rows].T, s=6, c=cells["layer"].cat.codes, cmap="viridis")
    axis.set(title=section, aspect="equal", xlim=(-2.2, 2.2), ylim=(-0.2, 2.2), xlabel="mm")
axes[0].set_ylabel("mm")
axes[3].text(0, 1, "places lost", ha="center", va="center", color="gray")
handles, _ = axes[0].collections[0].legend_elements()
names = adata.obs["layer"].cat.categories
_ = figure.legend(handles, names, loc="outside right center", frameon=False)

# %% [markdown]
# ## A latent space, and a straight line out of it
#
# The model sees counts and the section, never a place. Then `tl.map_to_space` fits the simplest map
# there is, a ridge regression from the latent space to the coordinates. Because it is linear, it
# cannot invent much: what it finds was there.

# %%
training = {"accelerator": "cpu", "enable_progress_bar": False}
mixvi.tl.rmve(adata, batch_key="section", rng=0, train_kwargs=training)
mixvi.tl.map_to_space(adata, "spatial", groups_key="section")
adata.uns["place"]["groups"].round(2)

# %% [markdown]
# Each row is a section that was *left out*: the map that predicts it has not seen any of its cells.
# `median_distance` is in mm, beside the error of always answering with the mean place. To leave out
# single cells at random would be wrong, as their neighbors in the tissue would stay in training.
#
# The picture draws these predictions. The cross is the usual error bar, and the title says how
# often shuffled places do as well.

# %%
_ = mixvi.pl.body_map(adata, color="layer")

# %% [markdown]
# Left and right, and the sides against the top, are there; the layers run into one another. Nothing
# about the picture alone would have told us. The next one does: where cells are, where they are
# put, and how well maps of shuffled places do.

# %%
_ = mixvi.pl.place_errors(adata, color="layer")

# %% [markdown]
# ## The section without places
#
# Its cells went through the same model, so they have a place, too. Here we know the truth that the
# map was never shown.

# %%
put = adata.obsm["X_place"]
scores = {
    "sections left out": adata.uns["place"]["scores"],
    "section_3, never placed": mixvi.metrics.place_scores(truth[lost], put[lost]),
    "the mean place": mixvi.metrics.place_scores(
        truth[lost], np.broadcast_to(np.nanmean(adata.obsm["spatial"], 0), truth[lost].shape)
    ),
}
pd.DataFrame(scores).T[["median_distance", "r2"]].astype(float).round(2)

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3), layout="constrained", sharey=True)
shade = adata.obs["layer"].cat.codes.to_numpy()[lost]
for axis, places, title in zip(axes, (truth, put), ("truth", "put back"), strict=True):
    axis.scatter(*places[lost].T, s=9, c=shade, cmap="viridis")
    axis.set(title=f"section_3, {title}", aspect="equal", xlim=(-2.4, 2.4), xlabel="mm")
axes[0].set_ylabel("mm")
_ = figure.legend(handles, names, loc="outside right center", frameon=False)

# %% [markdown]
# The error on the sections that were left out is the error to expect of a further one, and that is
# what we find. The error bars hold as well: a coordinate should be within 1.96 of them for 95 % of
# the cells.

# %%
inside = np.abs(put - truth)[lost] < 1.96 * adata.obsm["place_sd"][lost]
print(f"{inside.mean():.0%} of the coordinates of section_3 are inside their error bar")

# %% [markdown]
# ## A tissue without a map
#
# Now the same with genes that have no place (`contrast=0`). A linear map can always be fitted, and
# always gives a picture. The places are therefore shuffled and the whole fit is repeated 200 times:
# if shuffled places do as well, there is nothing to see, and the function says so. The model has
# its doubts before that: these cells are all of one kind, and their clusters are clusters of noise.

# %%
blind = mixvi.datasets.simulate_tissue(600, contrast=0, rng=0)
mixvi.tl.rmve(blind, batch_key="section", rng=0, train_kwargs=training | {"max_epochs": 40})
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    mixvi.tl.map_to_space(blind, "spatial", groups_key="section")
print(said[-1].message)
print(f"p = {blind.uns['place']['p_value']:.2f}")

# %% [markdown]
# ## A body
#
# Without a section, the known place of a cell is its organ. `datasets.organ_places()` is a table of
# organs on the silhouette that `pl.body_map` draws, in cm. Our cells are simulated: a gene is high
# in organs near to its own place, as if the body had gradients, and each of four donors adds a
# shift. (Real organs differ by their cell types. Then a map of organs is a map of types, and a
# macrophage of the liver lands where macrophages are, not in the liver.)

# %%
organs = mixvi.datasets.organ_places().loc[
    ["brain", "tongue", "lung", "heart", "liver", "spleen", "kidney", "bladder", "muscle", "skin"]
]
rng = np.random.default_rng(0)
organ, donor = rng.integers(len(organs), size=1000), rng.integers(4, size=1000)
xy = organs.to_numpy()
centers = xy[rng.integers(len(organs), size=120)] + rng.normal(0, 12, (120, 2))
distance = np.linalg.norm(xy[:, None] - centers, axis=-1)
peaks = 1.5 * np.exp(-(distance**2) / (2 * 30**2))
logits = rng.normal(size=120) + peaks[organ] + rng.normal(0, 0.2, (4, 120))[donor]
rate = 300 * np.exp(logits) / np.exp(logits).sum(1, keepdims=True)

body = ad.AnnData(
    rng.poisson(rate).astype("float32"),
    obs=pd.DataFrame(
        {
            "organ": pd.Categorical(organs.index[organ]),
            "donor": pd.Categorical([f"donor_{d}" for d in donor]),
        },
        index=[f"cell_{i}" for i in range(1000)],
    ),
)

# %% [markdown]
# One donor's organs are forgotten. The cells of the others are drawn where a map puts them that has
# not seen their donor; the rings are where the organs are.

# %%
forgotten = (body.obs["donor"] == "donor_3").to_numpy()
known_organ = body.obs["organ"].copy()
body.obs.loc[forgotten, "organ"] = None
mixvi.tl.rmve(body, batch_key="donor", rng=0, train_kwargs=training)
mixvi.tl.map_to_space(body, organs, obs_key="organ", groups_key="donor", n_permutations=100)
_ = mixvi.pl.body_map(body, color="organ", outline="body")

# %%
put = body.obsm["X_place"][forgotten]
nearest = organs.index[np.linalg.norm(put[:, None] - xy, axis=-1).argmin(1)]
print(f"nearest organ is the cell's own: {(nearest == known_organ[forgotten]).mean():.0%}")
off = np.linalg.norm(put - organs.loc[known_organ[forgotten]].to_numpy(), axis=1)
print(f"median error {np.median(off):.0f} cm; by chance one organ in ten would be hit")

# %% [markdown]
# ## Leave out an organ
#
# Harder, and more honest where donors are few: can the map place an organ that it has never seen?
# By default the rows of the table are left out one by one.

# %%
mixvi.tl.map_to_space(body, organs, obs_key="organ", n_permutations=100, key_added="organ_out")
groups = body.uns["organ_out"]["groups"]
groups.sort_values("median_distance").round(0)

# %% [markdown]
# Organs inside the body of the others are placed fairly; those at the ends (brain, skin, muscle)
# would have to be extrapolated to, and ridge regression pulls them towards the middle. A map knows
# the region that it was shown.
#
# ## To take home
#
# * Leave out whole groups: sections, donors, organs. The error on them is the error to report.
# * Look at p *and* at the error: a small p says better than chance, and no more.
# * A batch that is a place, or a cell type that is a place, cannot be told apart by any map.
#
# What is fitted and why, on real tissues and against other methods, is in the
# user guide, under "Cells to their place".
