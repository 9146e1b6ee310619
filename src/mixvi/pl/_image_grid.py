"""Images in a grid."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

__all__ = ["image_grid"]


def image_grid(
    images: ArrayLike,
    shape: Sequence[int],
    *,
    titles: Sequence[object] | None = None,
    n_columns: int = 10,
    limits: tuple[float, float] | None = (0, 1),
) -> Figure:
    """Draw rows of pixels as images: digits, generated ones, "cluster heads".

    Parameters
    ----------
    images
        Images × pixels, row by row, for example ``model.get_component_profiles()`` or cells that a
        model generated.
    shape
        Rows and columns of an image, for example ``adata.uns["image_shape"]``.
    titles
        A word above each image; by default the index, if ``images`` is a table.
    n_columns
        Images beside each other.
    limits
        Values drawn white and black; ``None``: the lowest and the highest.

    Returns
    -------
    The figure.

    Raises
    ------
    ValueError
        If the numbers of pixels or titles do not match.
    """
    titles = list(getattr(images, "index", []) if titles is None else titles)
    pixels = np.asarray(images, dtype=float)
    rows, columns = (int(side) for side in shape)
    if pixels.ndim != 2 or pixels.shape[1] != rows * columns:
        raise ValueError(
            f"expected images × {rows * columns} pixels for a shape of {rows} × {columns}, found "
            f"shape {pixels.shape}; pass the shape of the images"
        )
    if len(titles) and len(titles) != len(pixels):
        raise ValueError(
            f"expected a title for each of {len(pixels)} images, found {len(titles)}; pass as many"
        )
    low, high = (pixels.min(), pixels.max()) if limits is None else limits
    n_columns = min(n_columns, len(pixels))
    n_rows = -(-len(pixels) // n_columns)
    size = (0.85 * n_columns, (1.05 if len(titles) else 0.85) * n_rows)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=size, layout="constrained", squeeze=False
    )
    for i, axis in enumerate(axes.flat):
        axis.set_axis_off()
        if i < len(pixels):
            image = pixels[i].reshape(rows, columns)
            axis.imshow(image, cmap="gray_r", vmin=low, vmax=high, interpolation="nearest")
            if len(titles):
                axis.set_title(str(titles[i]), fontsize=8, pad=2)
    return figure
