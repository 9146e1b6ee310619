"""The generative stories told once more in Pyro: an oracle for the objectives, and diagrams."""

from .cgmdvae import CellExpression, CGMDVAEStory
from .diagram import Relations, plate_diagram, relations

__all__ = ["CGMDVAEStory", "CellExpression", "Relations", "plate_diagram", "relations"]
