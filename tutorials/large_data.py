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
# # Large data
#
# What changes when there are many cells? Not the calls. This page shows what there is to know: how
# long a run is, what is kept in memory, how to go on after an interruption, and how to keep a
# model without its counts. The cells are simulated, twenty thousand of them, so that it takes two
# or three minutes on a laptop; everything works the same on a file a hundred times as large.

# %%
import logging
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore", message="IProgress not found")

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scanpy as sc
import scvi
from lightning.pytorch import Callback
from sklearn.decomposition import PCA

import mixvi
from mixvi.model import CGMDVAE
from mixvi.train import default_epochs

for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")
scvi.settings.verbosity = logging.WARNING
plt.rcParams["figure.dpi"] = 64  # small pictures for a small notebook
folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A file
#
# Counts are mostly zeros, so they are kept compressed (CSR), in the file as in memory.

# %%
simulated = mixvi.datasets.simulate(
    20_000, 1000, n_components=8, n_batches=2, imbalance=5, depth=300, rng=0
)
simulated.write_h5ad(folder / "cells.h5ad")
X = simulated.X
size = {
    "as a table of float32": X.shape[0] * X.shape[1] * 4,
    "compressed": X.data.nbytes + X.indices.nbytes + X.indptr.nbytes,
    "file": (folder / "cells.h5ad").stat().st_size,
}
print(f"{X.nnz / np.prod(X.shape):.0%} of the entries are not zero")
print({name: f"{n_bytes / 1e6:.0f} MB" for name, n_bytes in size.items()})
del simulated, X

# %% [markdown]
# With `backed="r"` the file is opened and its counts stay on the disk.

# %%
cells = ad.read_h5ad(folder / "cells.h5ad", backed="r")
print(cells)

# %% [markdown]
# ## How long a run is
#
# A model does not have to see a million cells as often as it has to see a thousand. The length of
# a run is therefore counted in *visits*, how often any cell is looked at, and these grow with the
# square root of the number of cells. In epochs, runs become shorter. `max_epochs` overrules it.

# %%
n_cells = np.array([2_000, 20_000, 200_000, 2_000_000])
pd.DataFrame(
    {
        f"epochs, batch_size={size}": [default_epochs(n, size) for n in n_cells]
        for size in (128, 512)
    }
    | {
        "visits (millions), batch_size=128": n_cells
        * [default_epochs(n, 128) for n in n_cells]
        / 1e6
    },
    index=pd.Index(n_cells, name="cells"),
).round(2)

# %% [markdown]
# `batch_size` is how many cells make one step. With more of them a step has less overhead, and
# there are fewer steps; there are always 1,000 steps at least, which for few cells means more
# epochs. The default of 128 is right for thousands of cells; with many, 512 is quicker.
#
# ## Genes first
#
# The model needs the genes that tell cells apart. A few thousand cells are enough to choose them.
# Given a mask, `mixvi.tl.cgmdvae` takes only these genes into memory, compressed.

# %%
rows = np.sort(np.random.default_rng(0).choice(cells.n_obs, 3000, replace=False))
sample = cells[rows].to_memory()
sc.pp.normalize_total(sample, target_sum=1e4)
sc.pp.log1p(sample)
sc.pp.highly_variable_genes(sample, n_top_genes=300)
cells.var["highly_variable"] = sample.var["highly_variable"]

run = {"batch_size": 512, "accelerator": "cpu", "enable_progress_bar": False}
start = time.perf_counter()
mixvi.tl.cgmdvae(cells, batch_key="batch", train_kwargs=run, rng=0)
print(f"{time.perf_counter() - start:.0f} seconds")

# %% [markdown]
# Results are small, and are in `cells` as always. The file itself was opened for reading and is as
# it was: write results with `cells.to_memory().write_h5ad(...)`, or only `cells.obs`.

# %%
_ = mixvi.pl.contingency(cells, label_key="component")

# %% [markdown]
# A UMAP of very many cells takes longer than the model. Two principal components of the latent
# space take no time. Each ellipse is one of the 30 components, in the color of its cluster.

# %%
cells.obsm["X_pca"] = PCA(2).fit_transform(cells.obsm["X_cgmdvae"])
_ = mixvi.pl.components(cells, basis="X_pca")

# %%
_ = mixvi.pl.training_history(cells)

# %% [markdown]
# ## Interrupted
#
# Long runs are cut short: the time on the cluster is over, somebody trips over a cable. With
# `checkpoint_dir` the run writes down its state every ten minutes (`checkpoint_minutes`) and when
# it is ended by an exception, Ctrl-C or the SIGTERM of a scheduler. Here two runs of twelve epochs:
# one is left alone, in the other the power goes in the ninth epoch.


# %%
class PowerCut(Callback):
    """Ends a run in its ninth epoch."""

    def on_train_batch_end(self, trainer, *args):
        if trainer.current_epoch == 8:
            raise RuntimeError("the power is gone")


def new_model():
    """The model of before, untrained."""
    scvi.settings.seed = 0
    chosen = cells[:, cells.var["highly_variable"]].to_memory()
    CGMDVAE.setup_anndata(chosen, batch_key="batch")
    return CGMDVAE(chosen)


brief = run | {"max_epochs": 12}
alone = new_model()
alone.train(**brief)

brief["checkpoint_dir"] = folder / "run"
try:
    new_model().train(**brief, callbacks=[PowerCut()])
except RuntimeError as error:
    print(error, [file.name for file in (folder / "run").iterdir()])

# %% [markdown]
# `resume=True` goes on from the checkpoint if there is one, and begins if there is none. So a
# script may always say it, and the same script is simply started again.

# %%
start = time.perf_counter()
model = new_model()
model.train(**brief, resume=True)
print(f"{time.perf_counter() - start:.0f} seconds more, {len(model.history['elbo_train'])} epochs")

# %% [markdown]
# On the CPU a run that was interrupted ends as if nothing had happened: the same numbers, to the
# last bit, as the run that was left alone.

# %%
np.array_equal(model.get_latent_representation(), alone.get_latent_representation())

# %% [markdown]
# The model that went on is complete. What does each of its clusters express? The genes that stand
# out in the decoded profile of a cluster, against the mean of all:

# %%
share = model.get_components().weights
owner = np.asarray(model.cluster_of_component_).astype(str)
profiles = model.get_component_profiles().mul(share, axis=0).groupby(owner).sum()
_ = mixvi.pl.component_profiles(profiles.div(share.groupby(owner).sum(), axis=0), n_top=2)

# %% [markdown]
# ## Larger than memory
#
# If even the chosen genes do not fit, hand the open file to the model. Every step then reads its
# cells from the disk, and it takes longer. So do it when you have to, and have the file on a fast
# disk of the machine itself. Here are two epochs on all 1,000 genes, both ways. They are not the
# same to the last bit, as mini-batches come compressed from memory and dense from the disk.

# %%
seconds, curves = {}, {}
for name, data in {"in memory": cells.to_memory(), "on disk": cells}.items():
    scvi.settings.seed = 0
    CGMDVAE.setup_anndata(data, batch_key="batch")
    short = CGMDVAE(data)
    start = time.perf_counter()
    short.train(max_epochs=2, batch_size=512, accelerator="cpu", enable_progress_bar=False)
    seconds[name] = round(time.perf_counter() - start, 1)
    curves[name] = short.history["elbo_train"].to_numpy(dtype=float)
print(seconds, "seconds")
difference = np.abs(curves["in memory"] / curves["on disk"] - 1).max()
print(f"largest relative difference of the ELBO: {difference:.0e}")

# %% [markdown]
# ## A model without its counts
#
# A trained model can be kept with where its cells are in place of what they express. Counts are
# gone from such a *minified* model; clusters, probabilities, novelty, profiles and mapping new
# cells onto it stay.

# %%
clusters = model.predict()
model.save(folder / "whole", save_anndata=True)
model.minify_adata()
model.save(folder / "minified", save_anndata=True)
print(model)
for name in ("whole", "minified"):
    n_bytes = sum(file.stat().st_size for file in (folder / name).iterdir())
    print(f"{name}: {n_bytes / 1e6:.1f} MB")
loaded = CGMDVAE.load(folder / "minified")
bool((loaded.predict() == clusters).all())

# %% [markdown]
# ## On the command line
#
# On a cluster of computers a job is a command. `mixvi cluster` takes a file and writes a file; it
# reads the whole file into memory, as it writes it again with the results. Here with few epochs,
# for the sake of this page.

# %%
command = [Path(sys.executable).with_name("mixvi"), "cluster", "cells.h5ad", "-o", "out.h5ad"]
command += ["--batch-key", "batch", "--n-top-genes", "300", "--batch-size", "512"]
command += ["--max-epochs", "5", "--accelerator", "cpu", "--model-dir", "model"]
command += ["--score-against", "component"]
done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
print(done.stdout)

# %% [markdown]
# Five epochs are too few, and it shows: two of the eight types are still one, and the confidence is
# low. Leave `--max-epochs` out.
#
# ## Several machines
#
# Everything on this page ran on one machine, and on one core of it. A long run is cut into pieces
# by checkpoints, and needs no second machine for that. The user guide has a page on training at
# scale, for those who have more machines or more cells than fit here.
