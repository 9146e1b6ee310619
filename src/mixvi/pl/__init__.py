"""Plots: data in, matplotlib axes or figures out; nothing is shown, saved or written back."""

from mixvi.pl._body_map import body_map
from mixvi.pl._calibration import calibration
from mixvi.pl._component_profiles import component_profiles
from mixvi.pl._component_sizes import component_sizes
from mixvi.pl._components import components
from mixvi.pl._contingency import contingency
from mixvi.pl._image_grid import image_grid
from mixvi.pl._marker_panels import marker_panels
from mixvi.pl._merge_tree import merge_tree
from mixvi.pl._novelty import novelty
from mixvi.pl._perturbation import perturbation
from mixvi.pl._place_errors import place_errors
from mixvi.pl._plate_diagram import plate_diagram
from mixvi.pl._reference_query import reference_query
from mixvi.pl._responsibilities import responsibilities
from mixvi.pl._style_space import style_space
from mixvi.pl._suggested_components import suggested_components
from mixvi.pl._training_history import training_history
from mixvi.pl._umap import umap_panels

__all__ = [
    "body_map",
    "calibration",
    "component_profiles",
    "component_sizes",
    "components",
    "contingency",
    "image_grid",
    "marker_panels",
    "merge_tree",
    "novelty",
    "perturbation",
    "place_errors",
    "plate_diagram",
    "reference_query",
    "responsibilities",
    "style_space",
    "suggested_components",
    "training_history",
    "umap_panels",
]


def __dir__() -> list[str]:
    return __all__
