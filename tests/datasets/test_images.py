import anndata as ad
import numpy as np
from sklearn.datasets import load_digits

from mixvi.datasets import digits


def test_images_are_those_of_scikit_learn():
    adata, bundled = digits(), load_digits()
    assert adata.shape == (1797, 64)
    assert adata.X.dtype == np.float32
    assert adata.X.min() == 0
    assert adata.X.max() == 1
    for i in (0, 1000):
        image = adata.X[i].reshape(adata.uns["image_shape"])
        np.testing.assert_array_equal(image * 16, bundled.images[i])
    np.testing.assert_array_equal(adata.uns["image_shape"], (8, 8))
    np.testing.assert_array_equal(adata.obs["digit"].astype(int), bundled.target)


def test_names():
    adata = digits()
    assert adata.obs["digit"].dtype == "category"
    assert list(adata.obs["digit"].cat.categories) == list("0123456789")
    assert adata.var_names[1] == "pixel_0_1"
    assert adata.var_names[8] == "pixel_1_0"


def test_round_trip(tmp_path):
    digits().write_h5ad(tmp_path / "digits.h5ad")
    again = ad.read_h5ad(tmp_path / "digits.h5ad")
    assert again.X[0].reshape(again.uns["image_shape"]).shape == (8, 8)
