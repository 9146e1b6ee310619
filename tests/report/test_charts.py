"""Small charts: what is drawn lies where the numbers say."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from mixvi.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, curves, histogram
from mixvi.report.training import _last_gain


def shapes(svg, tag, kind):
    return [e for e in ET.fromstring(str(svg)).iter(tag) if kind in e.get("class", "").split()]


def test_bars_are_the_histogram():
    values = np.random.default_rng(0).normal(5, 2, 500)
    svg = histogram(values, title="t", x="x", bins=12, limits=(0, 10), mark=8, mark_text="m")
    counts, edges = np.histogram(values.clip(0, 10), 12, (0, 10))
    bars = [*shapes(svg, "rect", "bar")]
    heights = np.array([float(bar.get("height")) for bar in bars])
    np.testing.assert_allclose(heights / heights.max(), counts / counts.max(), atol=2e-3)
    assert len(shapes(svg, "rect", "above")) == (edges[:-1] + edges[1:] > 16).sum()
    (mark,) = shapes(svg, "line", "mark")
    assert float(mark.get("x1")) == pytest.approx(LEFT + 0.8 * (WIDTH - LEFT - RIGHT), abs=0.1)


def test_lines_are_the_curves():
    late = np.r_[[np.nan] * 40, np.linspace(3, 1, 60)]
    svg = curves(
        {"a": np.linspace(9, 1, 100), "b": late}, title="t", y="y", begins=40, robust=False
    )
    a, b = (e.get("points").split() for e in ET.fromstring(str(svg)).iter("polyline"))
    assert (len(a), len(b)) == (100, 60)
    points = np.array([[float(v) for v in point.split(",")] for point in a])
    assert points[0, 0] == LEFT
    assert points[-1, 0] == pytest.approx(WIDTH - RIGHT)
    assert (np.diff(points[:, 1]) > 0).all()  # falling is down
    assert points[:, 1].max() < HEIGHT - BOTTOM
    assert b[-1] == a[-1]  # the same value at the same epoch
    (band,) = shapes(svg, "rect", "band")
    assert float(band.get("x")) + float(band.get("width")) == pytest.approx(
        float(b[0].split(",")[0])
    )


def test_texts_are_escaped():
    evil = "<script>&\"'"
    for svg in (
        histogram(np.arange(9.0), title=evil, x=evil, mark=3, mark_text=evil),
        curves({evil: np.arange(9.0)}, title=evil, y=evil),
    ):
        root = ET.fromstring(str(svg))
        assert root.get("aria-label") == evil
        assert evil in "".join(root.itertext())


def test_constant_values_are_drawn():
    assert len(shapes(histogram(np.ones(5), title="t", x="x"), "rect", "bar")) == 1
    assert "nan" not in str(curves({"a": np.zeros(5)}, title="t", y="y"))


@pytest.mark.parametrize(
    ("curve", "gain"),
    [
        (np.linspace(100, 0, 101), 0.15),  # of two tenths, from middle to middle
        (np.r_[100.0, np.zeros(99)], 0),
        (np.r_[100.0, 60, 30], np.nan),
        (np.linspace(0, 100, 50), np.nan),
    ],
)
def test_last_gain(curve, gain):
    assert _last_gain(curve) == pytest.approx(gain, abs=0.02, nan_ok=True)
