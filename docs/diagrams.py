"""Draw the plate diagrams of the user guide: ``python docs/diagrams.py``.

Needs the program ``dot`` of Graphviz. The pictures are committed; run this when a story changes.
"""

import subprocess
from pathlib import Path

import mixvi
from mixvi.stories import CGMDVAEStory, RMVEStory, plate_diagram

STATIC = Path(__file__).parent / "_static"


def draw(source, path):
    """Let Graphviz turn source text into an SVG file."""
    command = ["dot", "-Tsvg", "-o", str(path)]
    subprocess.run(command, input=source, text=True, check=True)


adata = mixvi.datasets.simulate(60, 20, n_components=3, n_batches=2, rng=0)

mixvi.model.CGMDVAE.setup_anndata(adata, batch_key="batch")
story = CGMDVAEStory(mixvi.model.CGMDVAE(adata, n_components=3).module.eval(), same_z=True)
for part in ("model", "guide"):
    draw(plate_diagram(story, part), STATIC / f"cgmdvae_{part}.svg")

mixvi.model.RMVE.setup_anndata(adata, batch_key="batch")
for encoder, suffix in {"shared": "", "y_conditional": "_y_conditional"}.items():
    rmve = mixvi.model.RMVE(adata, n_components=3, encoder=encoder)
    story = RMVEStory(rmve.module.eval())
    draw(plate_diagram(story, "guide"), STATIC / f"rmve_guide{suffix}.svg")
draw(plate_diagram(story, "model"), STATIC / "rmve_model.svg")  # the same for both
