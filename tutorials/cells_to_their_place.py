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
# Some cells come with a place, from a section of the tissue that was imaged; others were pulled
# out of it and have lost theirs. Here we put the second kind back with the help of the first, and
# then spend most of the time on how to tell whether the picture means anything.
#
# For readers who know scanpy. The cells are simulated, so we know the truth: an arch of tissue of
# which four sections were cut. Half of the genes are expressed around some spot of the arch, the
# others everywhere, and every section has its own batch effect. A minute on a laptop, nothing to
# download.

# %%
import logging
import warnings

warnings.filterwarnings("ignore", message="IProgress not found")

import matplotlib.pyplot as plt
import numpy as np
import scanpy as sc
import scvi

import mixvi

# The libraries below say a lot about hardware and progress; we do not need it here.
for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")
scvi.settings.verbosity = logging.WARNING
plt.rcParams["figure.dpi"] = 64  # small pictures for a small notebook

# %% [markdown]
# ## The cells
#
# 300 cells in each section. We hide the places of the last section: these stand for cells that
# were pulled out of the tissue. What we keep as `truth` is for checking at the end.

# %%
adata = mixvi.datasets.simulate_tissue(rng=0)
truth = adata.obsm["spatial"].copy()
lost = (adata.obs["section"] == "section_3").to_numpy()
adata.obsm["spatial"][lost] = np.nan
print(adata)

# %%
sc.pl.embedding(adata[~lost], "spatial", color=["section", "layer"], size=25)

# %% [markdown]
# ## A latent space, and a map
#
# The model sees counts and sections, never a place. Then `map_to_space` looks for a *linear* map
# from the latent space to the places. It leaves out one section after the other, predicts its
# cells from the other sections, and compares the error with that of maps of shuffled places.

# %%
mixvi.tl.rmve(adata, batch_key="section", rng=0, train_kwargs={"enable_progress_bar": False})
mixvi.tl.map_to_space(adata, "spatial", groups_key="section")
figure = mixvi.pl.place_errors(adata, color="layer")
# %% [markdown]
# Left, the cells where they were measured. In the middle the same cells, each predicted by a map
# that has not seen its section; an arrow leads from the center of each section to the center of
# its predictions, here a short one. Right, in gray, what 200 maps of shuffled places reach:
# nothing. The arch is there, its ends are pulled in a little. That is what a linear map with a
# penalty does: where it is not sure it stays near the middle.
#
# The same by section, beside the error of someone who always answers with the mean place:

# %%
adata.uns["place"]["groups"].round(2)

# %% [markdown]
# ## The cells without a place
#
# They have one now, and an error bar. As we know the truth, we can see whether both are right.

# %%
mixvi.pl.body_map(adata[lost], color="layer", outline="tissue")

error = np.linalg.norm(adata.obsm["X_place"][lost] - truth[lost], axis=1)
inside = np.abs(adata.obsm["X_place"] - truth)[lost] < 1.96 * adata.obsm["place_sd"][lost]
print(f"median error {np.median(error):.2f} mm; promised were")
print(f"{adata.uns['place']['scores']['median_distance']:.2f} mm on sections left out")
print(f"{inside.mean():.0%} of the coordinates are inside 1.96 error bars")

# %% [markdown]
# ## Is the latent space needed?
#
# The same read-out from principal components. The comparison is fair because everything after the
# representation is the same.

# %%
pca = adata.copy()
sc.pp.normalize_total(pca)
sc.pp.log1p(pca)
sc.pp.pca(pca, n_comps=30)
mixvi.tl.map_to_space(pca, "spatial", groups_key="section", use_rep="X_pca")
for name, cells in {"RMVE": adata, "PCA": pca}.items():
    scores = cells.uns["place"]["scores"]
    print(f"{name:5s} median error {scores['median_distance']:.2f} mm, R² {scores['r2']:.2f}")

# %% [markdown]
# ## When the map means nothing
#
# Take a tissue in which no gene has a place. A map can still be fitted, a picture can still be
# drawn. The p-value, the warning and the title of the picture say what it is worth.

# %%
nowhere = mixvi.datasets.simulate_tissue(contrast=0, rng=1)
mixvi.tl.rmve(nowhere, batch_key="section", rng=0, train_kwargs={"enable_progress_bar": False})
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    mixvi.tl.map_to_space(nowhere, "spatial", groups_key="section")
    axis = mixvi.pl.body_map(nowhere, color="layer")
print(caught[0].message)

# %% [markdown]
# ## With few places anything fits
#
# Three organs in a plane, and cells whose "organ" we draw at random in blocks of their latent
# space: three points are always on a plane, so a map that has seen all three is perfect. Left out
# one at a time, they are not found, and there are only six ways to exchange three organs: p cannot
# be small, whatever the picture looks like.

# %%
from sklearn.cluster import KMeans

organs = mixvi.datasets.organ_places().loc[["brain", "heart", "bladder"]]
nowhere.obs["organ"] = organs.index[
    KMeans(3, n_init=3, random_state=0).fit_predict(nowhere.obsm["X_rmve"])
]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    mixvi.tl.map_to_space(nowhere, organs, obs_key="organ", key_added="body")
    axis = mixvi.pl.body_map(nowhere, key="body", color="organ")

# %% [markdown]
# ## What to take home
#
# * Leave out what you want to predict: a section, a donor, an organ; never single cells.
# * Look at `mixvi.pl.place_errors` before you show `mixvi.pl.body_map` to anyone.
# * Few places: no map. The user guide has more on what such a map can and cannot show.
