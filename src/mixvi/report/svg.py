"""Pieces of SVG text, escaped; colors come from the page's style sheet."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

__all__ = ["label", "picture", "rounded"]


def rounded(value: float) -> str:
    """A length as a picture needs it."""
    return f"{value:.1f}"


def label(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> Markup:
    """Text at a place; ``anchor`` is ``start``, ``middle`` or ``end``."""
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        kind, rounded(x), rounded(y), anchor, text
    )


def picture(title: str, parts: Iterable[Markup], width: float, height: float) -> Markup:
    """Everything together; ``title`` is what is read instead of seen."""
    head = Markup('<svg class="chart" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">')
    return head.format(width, height, title) + Markup("").join(parts) + Markup("</svg>")
