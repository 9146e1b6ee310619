"""Small charts as SVG text; colors come from the page's style sheet."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from .svg import label, picture, rounded

__all__ = ["curves", "histogram"]

WIDTH, HEIGHT = 440.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 14.0, 40.0


def curves(
    series: Mapping[str, np.ndarray], *, title: str, y: str, begins: int = 0, robust: bool = True
) -> Markup:
    """Lines over the epochs, with what was before ``begins`` shaded.

    Parameters
    ----------
    series
        Values per epoch by name; the first has the first color of the page.
    title
        What is read instead of seen.
    y
        Name of the vertical axis.
    begins
        Epoch at which the mixture began.
    robust
        Leave the first epochs out of the picture where they would flatten the rest.
    """
    values = np.concatenate([v[np.isfinite(v)] for v in series.values()])
    n = max(map(len, series.values()))
    low, high = float(values.min()), float(values.max())
    if robust:
        later = np.concatenate([v[len(v) // 20 :] for v in series.values()])
        high = float(np.nanmax(later))
    margin = 0.05 * (high - low) or max(abs(high) * 0.05, 1e-6)
    frame = _Frame((0, max(n - 1, 1)), (low - margin, high + margin))
    parts = []
    if 0 < begins < n:
        parts.append(frame.band(0, begins, "before the mixture"))
    parts += frame.axes("epoch", y)
    for i, (name, line) in enumerate(series.items()):
        parts.append(frame.line(line, f"line c{i}", name))
    return picture(title, parts, WIDTH, HEIGHT)


def histogram(
    values: np.ndarray,
    *,
    title: str,
    x: str,
    bins: int = 30,
    limits: tuple[float, float] | None = None,
    mark: float | None = None,
    mark_text: str = "",
) -> Markup:
    """Numbers of cells, with a marked value.

    Parameters
    ----------
    values
        One per cell.
    title
        What is read instead of seen.
    x
        Name of the horizontal axis.
    bins, limits
        Number of bars, and where they begin and end; by default without the outermost .5 %.
    mark, mark_text
        A vertical line and its name.
    """
    values = values[np.isfinite(values)]
    if limits is None:
        low, high = np.quantile(values, [0.005, 0.995]).tolist()
        if mark is not None:
            low, high = min(low, mark), max(high, mark)
        limits = (low, high if high > low else low + 1)
    counts, edges = np.histogram(np.clip(values, *limits), bins, limits)
    frame = _Frame(limits, (0, 1.08 * max(int(counts.max()), 1)))
    parts = frame.axes(x, "cells", whole=True)
    parts += [
        frame.bar(left, right, n, above=mark is not None and (left + right) / 2 > mark)
        for left, right, n in zip(edges[:-1], edges[1:], counts, strict=True)
        if n
    ]
    if mark is not None:
        parts.append(frame.mark(mark, mark_text))
    return picture(title, parts, WIDTH, HEIGHT)


class _Frame:
    """From data to the picture."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]):
        self.x0, self.x1 = x
        self.y0, self.y1 = y

    def x(self, value: float) -> float:
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.y0) / (self.y1 - self.y0)
        return HEIGHT - BOTTOM - min(max(share, 0), 1) * (HEIGHT - TOP - BOTTOM)

    def axes(self, x: str, y: str, *, whole: bool = False) -> list[Markup]:
        bottom = HEIGHT - BOTTOM
        parts = []
        for tick in _ticks(self.y0, self.y1, 5, whole):
            parts.append(
                Markup('<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(
                    LEFT, WIDTH - RIGHT, y=rounded(self.y(tick))
                )
            )
            parts.append(label(LEFT - 7, self.y(tick) + 4, _label(tick), "end"))
        for tick in _ticks(self.x0, self.x1, 6):
            parts.append(label(self.x(tick), bottom + 17, _label(tick), "middle"))
        parts.append(
            Markup('<line class="axis" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(
                LEFT, WIDTH - RIGHT, y=bottom
            )
        )
        parts.append(label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, x, "middle", "name"))
        middle = (TOP + bottom) / 2
        parts.append(
            Markup('<text class="name" text-anchor="middle" transform="translate(12,{}) ').format(
                middle
            )
            + Markup('rotate(-90)">{}</text>').format(y)
        )
        return parts

    def line(self, values: np.ndarray, kind: str, name: str) -> Markup:
        there = np.flatnonzero(np.isfinite(values))
        points = [f"{rounded(self.x(i))},{rounded(self.y(values[i]))}" for i in there.tolist()]
        return Markup('<polyline class="{}" points="{}"><title>{}</title></polyline>').format(
            kind, " ".join(points), name
        )

    def bar(self, left: float, right: float, n: int, *, above: bool) -> Markup:
        x, y = self.x(left), self.y(n)
        return Markup(
            '<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
        ).format(
            "bar above" if above else "bar",
            rounded(x + 0.5),
            rounded(y),
            rounded(max(self.x(right) - x - 1, 0.5)),
            rounded(HEIGHT - BOTTOM - y),
            f"{_label(left)} to {_label(right)}: {n:,} cells",
        )

    def mark(self, value: float, name: str) -> Markup:
        x = self.x(value)
        right = x > (LEFT + WIDTH) / 2
        return Markup('<line class="mark" x1="{x}" x2="{x}" y1="{}" y2="{}"/>').format(
            TOP, HEIGHT - BOTTOM, x=rounded(x)
        ) + label(x + (-6 if right else 6), TOP + 8, name, "end" if right else "start", "marked")

    def band(self, start: float, stop: float, name: str) -> Markup:
        x, width = self.x(start), self.x(stop) - self.x(start)
        band = Markup('<rect class="band" x="{}" y="{}" width="{}" height="{}"/>').format(
            rounded(x), TOP, rounded(width), HEIGHT - TOP - BOTTOM
        )
        if width < 120:
            return band
        return band + label(x + width / 2, TOP + 14, name, "middle", "quiet")


def _ticks(low: float, high: float, n: int, whole: bool = False) -> list[float]:
    found = MaxNLocator(n, integer=whole, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    inside = 1e-9 * (high - low)
    return [float(tick) for tick in found if low - inside <= tick <= high + inside]


def _label(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
