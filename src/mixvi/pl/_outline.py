"""Outlines that cells are drawn on: a body, or the tissue that was measured."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.patches import Ellipse, PathPatch, Polygon
from matplotlib.path import Path
from scipy.spatial import Delaunay

FILL, EDGE = "0.95", "0.72"

# half of a standing body from the neck to the crotch, cm from the midline and from the ground
_HALF = np.array(
    [
        *[(0, 148), (4.6, 149), (5.4, 145), (9, 142.6), (16, 140.6), (20.8, 137), (23, 130)],
        *[(24.6, 118), (26.8, 105), (29.6, 92), (32.4, 82), (35.2, 76), (36, 70), (34.6, 65.5)],
        *[(32.2, 67), (30.8, 72), (29.6, 79), (26.8, 89), (23, 101), (20.4, 111), (18, 124)],
        *[(16.8, 117), (15, 106), (15.6, 98), (17.8, 89), (18.6, 80), (18.2, 70), (16.4, 55)],
        *[(14.6, 46), (15, 37), (14, 28), (11.6, 14), (11.2, 8), (14.6, 3.4), (15, 0.8)],
        *[(12, 0), (7, 0.6), (6.2, 4), (6.4, 10), (5.6, 20), (5, 31), (5.4, 42), (4, 55)],
        *[(2, 69), (0, 77)],
    ]
)


def draw_outline(axis: Axes, outline: str | np.ndarray, measured: np.ndarray) -> None:
    """Draw a body, the tissue of the measured places (n, 2), or a polygon that is given.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    if not isinstance(outline, str):
        corners = np.asarray(outline, dtype=float)
        axis.add_patch(Polygon(corners, facecolor=FILL, edgecolor=EDGE, zorder=0))
        axis.autoscale_view()
    elif outline == "body":
        draw_body(axis)
    elif outline == "tissue":
        draw_tissue(axis, measured)
    else:
        raise ValueError(
            f"expected outline to be 'body', 'tissue' or corners, found {outline!r}; choose one"
        )


def draw_body(axis: Axes) -> None:
    """Draw a body of 170 cm that stands on 0, with the midline at 0, seen from the front."""
    for half in (_HALF, _HALF * [-1, 1]):
        axis.add_patch(PathPatch(_smooth(half), facecolor=FILL, edgecolor="none", zorder=0))
        axis.add_patch(PathPatch(_smooth(half), facecolor="none", edgecolor=EDGE, zorder=0.1))
    head = {"width": 15.4, "height": 23, "zorder": 0.2}
    axis.add_patch(Ellipse((0, 158.5), facecolor=FILL, edgecolor=EDGE, **head))
    axis.set(xlim=(-42, 42), ylim=(-3, 173))


def draw_tissue(axis: Axes, points: np.ndarray) -> None:
    """Draw the region that points ``(n, 2)`` fill, with its holes and bays: an alpha shape.

    Triangles of the Delaunay triangulation are kept whose circumscribed circle is not much larger
    than that of a usual one. Fewer than three points that are not on a line have no region.
    """
    there = np.unique(points[np.isfinite(points).all(1)], axis=0)
    if len(there) < 3 or np.linalg.matrix_rank(there - there.mean(0), tol=1e-9) < 2:
        return
    triangles = Delaunay(there).simplices
    radius = circumradius(there[triangles])
    kept = triangles[radius <= 4 * np.median(radius)]
    axis.add_collection(
        PolyCollection(
            list(there[kept]), facecolors=FILL, edgecolors=FILL, linewidths=0.6, zorder=0
        )
    )
    edges = np.sort(kept[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    pairs, counts = np.unique(edges, axis=0, return_counts=True)
    rim = there[pairs[counts == 1]]  # an edge of one triangle only
    axis.add_collection(LineCollection(list(rim), colors=EDGE, linewidths=1, zorder=0.1))
    axis.autoscale_view()


def circumradius(triangles: np.ndarray) -> np.ndarray:
    """Radius of the circle through the corners of each triangle, (n, 3, 2) → (n,)."""
    a, b, c = (np.linalg.norm(triangles[:, i] - triangles[:, i - 1], axis=1) for i in range(3))
    (x1, y1), (x2, y2) = ((triangles[:, i] - triangles[:, 0]).T for i in (1, 2))
    twice = np.abs(x1 * y2 - x2 * y1)
    with np.errstate(divide="ignore"):
        return a * b * c / (2 * twice)


def _smooth(points: np.ndarray) -> Path:
    """Curve through points with Catmull-Rom tangents, closed by a straight line."""
    tangent = np.gradient(points, axis=0) / 3
    vertices, codes = [points[0]], [Path.MOVETO]
    for i in range(len(points) - 1):
        vertices += [points[i] + tangent[i], points[i + 1] - tangent[i + 1], points[i + 1]]
        codes += [Path.CURVE4] * 3
    return Path(np.array(vertices), codes)
