"""The generative stories told once more in Pyro: an oracle for the objectives, and diagrams."""

from .base import CellExpression, Story
from .cgmdvae import CGMDVAEStory
from .diagram import Relations, plate_diagram, relations
from .rmve import RMVEStory

__all__ = [
    "CGMDVAEStory",
    "CellExpression",
    "RMVEStory",
    "Relations",
    "Story",
    "plate_diagram",
    "relations",
]
