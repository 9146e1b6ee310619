"""Plots: data in, matplotlib axes or figures out; nothing is shown, saved or written back."""

from mixvi.pl._body_map import body_map
from mixvi.pl._calibration import calibration
from mixvi.pl._contingency import contingency
from mixvi.pl._merge_tree import merge_tree
from mixvi.pl._perturbation import perturbation
from mixvi.pl._place_errors import place_errors
from mixvi.pl._suggested_components import suggested_components
from mixvi.pl._umap import umap_panels

__all__ = [
    "body_map",
    "calibration",
    "contingency",
    "merge_tree",
    "perturbation",
    "place_errors",
    "suggested_components",
    "umap_panels",
]
