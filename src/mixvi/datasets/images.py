"""Small images, to look at what a model does: handwritten digits."""

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits


def digits() -> ad.AnnData:
    """Handwritten digits: 1,797 images of 8 × 8 pixels, real values in [0, 1].

    The images of :func:`sklearn.datasets.load_digits`, which is part of scikit-learn, so that
    nothing is downloaded. Each pixel counts the dark cells of a 4 × 4 block of a scan, 0 to 16,
    and is divided by 16. They suit a Gaussian or Bernoulli likelihood.

    Returns
    -------
    AnnData
        ``X``
            Darkness, dense float32 in [0, 1], images × 64 pixels, row by row. Some pixels at the
            border are zero in every image.
        ``obs["digit"]``
            Categorical, ``"0"`` to ``"9"``.
        ``var_names``
            ``pixel_{row}_{column}``.
        ``uns["image_shape"]``
            Array of 8 and 8: ``X[i].reshape(adata.uns["image_shape"])`` is image i.

    References
    ----------
    Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository.
    """
    bundled = load_digits()
    rows, columns = bundled.images.shape[1:]
    return ad.AnnData(
        (bundled.data / 16).astype(np.float32),
        obs=pd.DataFrame(
            {"digit": pd.Categorical(bundled.target.astype(str))},
            index=[f"image_{i}" for i in range(len(bundled.data))],
        ),
        var=pd.DataFrame(index=[f"pixel_{i}_{j}" for i in range(rows) for j in range(columns)]),
        # An array, because AnnData cannot write a tuple to a file.
        uns={"image_shape": np.array([rows, columns])},
    )
