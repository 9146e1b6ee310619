import numpy as np
import pytest
from benchmarks.store import read_rows

import mixvi.model
from benchmarks import images


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    y_train, y_test = np.arange(400) % 10, np.arange(50) % 10
    # the first pixel is the class
    x_train, x_test = (rng.integers(0, 256, (len(y), 4, 4), np.uint8) for y in (y_train, y_test))
    x_train[:, 0, 0], x_test[:, 0, 0] = y_train, y_test
    np.savez(tmp_path / "mnist.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return tmp_path


class Reader:
    """Reads the class off the first pixel; without labels it has its own names for classes."""

    history = {"elbo_train": [1, 2]}  # noqa: RUF012
    kept: dict = {}  # noqa: RUF012

    @classmethod
    def setup_anndata(cls, adata, **keys):
        cls.keys = keys
        cls.known = adata.obs[keys["labels_key"]].to_numpy(dtype=object) if keys else None

    def __init__(self, adata, **options):
        self.adata = adata
        Reader.kept = options

    def train(self, **options):
        Reader.kept |= options

    def get_latent_representation(self):
        classes = (255 * self.adata.X[:, 0]).round().astype(int)
        return np.eye(10)[classes] + np.random.default_rng(0).normal(0, 0.01, (len(classes), 10))

    def predict(self, adata=None):
        classes = (255 * (adata or self.adata).X[:, 0]).round().astype(int)
        names = classes if self.keys else (classes + 3) % 10
        # test images of class 0 are taken for class 1
        return np.where((adata is not None) & (classes == 0), 1 if self.keys else 4, names).astype(
            str
        )


def test_images_are_pixels_between_zero_and_one(folder):
    train, test = images.load_images(folder, "mnist", n_train=30)
    assert (train.shape, test.shape) == ((30, 16), (50, 16))
    assert 0 <= train.X.min() <= train.X.max() <= 1
    assert train.X.dtype == np.float32
    with pytest.raises(FileNotFoundError, match="give --data"):
        images.load_images(folder, "fashion_mnist")


def test_a_share_of_every_class_keeps_its_label():
    classes = np.repeat(np.array(["a", "b"], dtype=object), [800, 200])
    known = images.hide(classes, seed=1)
    kept = known != images.UNKNOWN
    np.testing.assert_array_equal(known[kept], classes[kept])
    assert [(known == c).sum() for c in "ab"] == [40, 10]
    assert (images.hide(classes, seed=2) != known).any()


def test_matching_is_one_to_one():
    classes, clusters = np.array([*"aaabbb"]), np.array([*"112111"])
    assert images.matching(classes, clusters) == {"1": "b", "2": "a"}


def test_unlabeled_and_labeled_tasks(folder, monkeypatch):
    monkeypatch.setattr(mixvi.model, "CGMDVAE", Reader)
    output = folder / "out.json"
    command = ["--data", str(folder), "--sets", "mnist", "--seeds", "1", "-o", str(output)]
    images.main([*command, "--n-hidden", "7", "--max-epochs", "3"])
    rows = {row["task"]: row for row in read_rows(output)}
    assert set(rows) == {"unsupervised", "guided", "semi"}
    for row in rows.values():
        assert row["train_acc"] == 1
        assert row["test_acc"] == pytest.approx(0.9)
        assert (row["n_train"], row["setting"]) == (400, "n_hidden=7 max_epochs=3")
    assert Reader.keys == {"labels_key": "known", "unlabeled_category": "unknown"}
    assert (Reader.known == images.UNKNOWN).mean() == pytest.approx(0.95)
    assert Reader.kept["n_components"] == 10
    assert (Reader.kept["n_hidden"], Reader.kept["max_epochs"]) == (7, 3)
    assert Reader.kept["gene_likelihood"] == "bernoulli"

    before = output.stat().st_mtime_ns
    images.main([*command, "--n-hidden", "7", "--max-epochs", "3"])
    assert output.stat().st_mtime_ns == before
    images.main([*command, "--tasks", "semi"])
    assert {r["setting"] for r in read_rows(output)} == {"default", "n_hidden=7 max_epochs=3"}


def test_guides_are_communities_of_the_latent_space(folder, monkeypatch):
    monkeypatch.setattr(mixvi.model, "CGMDVAE", Reader)
    train, test = images.load_images(folder, "mnist")
    row = images.run(train, test, "CGMDVAE", "guided", seed=0)
    assert Reader.keys == {"labels_key": "known"}
    assert Reader.kept["n_components"] == row["n_clusters"] == 10
    # one label for all images of a class
    assert len(set(zip(train.obs["class"], Reader.known, strict=True))) == 10
