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
# # Digits: generate a cluster head
#
# A model of cells is hard to look at: who can say whether a generated cell is a good one? Images
# everyone can judge. The same model, with pixels in place of genes, finds the kinds of digits in
# handwriting; what a component *looks like*, its "cluster head", is a picture; and new digits can
# be drawn from it. Everything carries over to cells, where the heads are expression profiles.
#
# It takes a minute or two on a laptop, without a GPU and without a download.

# %%
import logging
import warnings

warnings.filterwarnings("ignore", message="IProgress not found")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scvi

import mixvi

for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")
scvi.settings.verbosity = logging.WARNING
plt.rcParams["figure.dpi"] = 64  # small pictures for a small notebook
training = {"accelerator": "cpu", "enable_progress_bar": False}

# %% [markdown]
# 1,797 digits of 8 × 8 pixels, which come with scikit-learn. The digit is known, and stays out of
# the model.

# %%
adata = mixvi.datasets.digits()
shape = adata.uns["image_shape"]
_ = mixvi.pl.image_grid(adata.X[:20], shape, titles=adata.obs["digit"][:20])

# %% [markdown]
# ## Fit
#
# The only difference to cells: a pixel is a value between 0 and 1, so `gene_likelihood="bernoulli"`
# says how likely it is, and not a distribution of counts.

# %%
scvi.settings.seed = 0
mixvi.model.CGMDVAE.setup_anndata(adata)
model = mixvi.model.CGMDVAE(adata, n_components=20, gene_likelihood="bernoulli")
model.train(**training)
model.annotate()
print(model)
scores = mixvi.metrics.clustering_scores(adata.obs["digit"], adata.obs["cgmdvae"])
pd.Series(scores).round(2)

# %%
_ = mixvi.pl.training_history(adata)

# %% [markdown]
# In the gray phase there is no mixture, and the latent space takes shape. Then thirty components
# start, which is when the KL of y appears (which component an image belongs to); at the second jump
# they are merged to the twenty that we asked for, and everything is trained together to the end.
#
# ## Cluster heads
#
# The center of a component is a point of the latent space, and the decoder turns it into an image:
# the most typical member. One head per component, with its share of the images.

# %%
heads = model.get_component_profiles()
share = adata.uns["cgmdvae"]["weights"]
titles = [f"{name}: {weight:.0%}" for name, weight in zip(heads.index, share, strict=True)]
_ = mixvi.pl.image_grid(heads, shape, titles=titles)

# %% [markdown]
# Most are digits at once; some digits have two heads, for two ways to write them. Which digits are
# behind each head? Every column is one digit, and rows sum to one.

# %%
_ = mixvi.pl.contingency(adata, label_key="digit")

# %%
_ = mixvi.pl.component_sizes(adata)

# %% [markdown]
# ## Generate
#
# Now draw: first a component, then a point around its center, then an image. Each row is one
# component; its images differ as handwriting does, more than the head tells.

# %%
best = heads.index[np.argsort(-share)[:6]]
rows = [model.sample(10, component=name) for name in best]
_ = mixvi.pl.image_grid(np.vstack(rows), shape)

# %% [markdown]
# A sample has the noise of its pixels in it: a Bernoulli pixel is black or white. That is as it
# should be (a sampled cell has the noise of its counts, too). To see what changes *in the
# handwriting*, decode without that noise: real images of the component, reconstructed.

# %%
shown = []
for name in best:
    members = np.flatnonzero(adata.obs["cgmdvae"] == name)[:10]
    shown.append(model.get_normalized_expression(adata, indices=members, return_numpy=True))
_ = mixvi.pl.image_grid(np.vstack(shown), shape)

# %% [markdown]
# ## Which images is the model unsure about?
#
# The strip has a thin column for every image, divided like its probabilities. Below, the least
# certain images and the most surprising ones: the first lie between two heads, the second are far
# from all of them.

# %%
_ = mixvi.pl.responsibilities(adata)

# %%
unsure = np.argsort(adata.obs["cgmdvae_confidence"].to_numpy())[:10]
strange = np.argsort(-adata.obs["cgmdvae_novelty"].to_numpy())[:10]
both = np.r_[unsure, strange]
titles = [f"{word} {digit}" for word, digit in zip(
    ["unsure"] * 10 + ["strange"] * 10, adata.obs["digit"].iloc[both], strict=True
)]  # fmt: skip
_ = mixvi.pl.image_grid(adata.X[both], shape, titles=titles)

# %% [markdown]
# ## With a few labels
#
# Ten labeled images of each digit, the others "unknown": the first components then belong to the
# digits and carry their names, and each head is what the model thinks a digit is.

# %%
few = mixvi.datasets.digits()
labels = few.obs["digit"].astype(str)
keep = labels.groupby(labels).sample(10, random_state=0).index
few.obs["label"] = labels.where(few.obs_names.isin(keep), "unknown")
scvi.settings.seed = 0
mixvi.model.CGMDVAE.setup_anndata(few, labels_key="label", unlabeled_category="unknown")
guided = mixvi.model.CGMDVAE(few, n_components=10, gene_likelihood="bernoulli")
guided.train(**training)
hidden = (few.obs["label"] == "unknown").to_numpy()
right = guided.predict()[hidden] == labels[hidden].to_numpy()
print(f"{right.mean():.0%} of the {hidden.sum():,} images without a label are recognized")
_ = mixvi.pl.image_grid(guided.get_component_profiles(), shape)

# %% [markdown]
# For cells the same calls hold: `get_component_profiles()` are mean expression profiles, drawn by
# `mixvi.pl.component_profiles`, and `sample()` draws counts. That is in
# the tutorial on blood cells.
