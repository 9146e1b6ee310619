"""Plots: AnnData in, matplotlib axes or figures out; nothing is shown, saved or written back."""

from mixvi.pl._contingency import contingency
from mixvi.pl._umap import umap_panels

__all__ = ["contingency", "umap_panels"]
