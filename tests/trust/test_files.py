"""Files of models: they outlive versions, say when they are damaged, and never run anything."""

import json
import os
import pickle
import re
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from tests.trust.cells import Evil, cells, files
from typer.testing import CliRunner

from mixvi import tl
from mixvi.cli import app
from mixvi.model import CGMDVAE, RMVE

pytestmark = pytest.mark.contract

FIXTURES = Path(__file__).parents[1] / "fixtures"
FORMATS = sorted(path.name for path in FIXTURES.glob("format-*"))


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "model", save_anndata=True)
    return tmp_path / "model"


# durable ---------------------------------------------------------------------------------------


def test_every_format_is_kept():
    assert FORMATS == ["format-0", "format-1", "format-2"]
    assert sum(f.stat().st_size for f in FIXTURES.rglob("*") if f.is_file()) < 200_000


def kept(name):
    """The cells of a format's model, and what it said about them."""
    expected = np.load(FIXTURES / name / "expected.npz")
    obs = pd.DataFrame({key: expected[key] for key in ("batch", "condition")})
    adata = ad.AnnData(expected["counts"].astype("float32"), obs.set_index(obs.index.astype(str)))
    adata.var_names = [f"gene_{j}" for j in range(adata.n_vars)]
    return adata, expected


def sobol_points(n_latent, n_points):
    """What responsibilities were averaged over when the formats up to 2 were written."""
    uniform = torch.quasirandom.SobolEngine(n_latent, scramble=True, seed=0).draw(32)
    return torch.distributions.Normal(0.0, 1.0).icdf(uniform.clamp(1e-6, 1 - 1e-6))


@pytest.mark.parametrize("name", FORMATS)
def test_older_formats_load(name, monkeypatch):
    """Same latent space, clusters, novelty and history, whichever version wrote them."""
    adata, expected = kept(name)
    loaded = CGMDVAE.load(FIXTURES / name, adata)
    np.testing.assert_allclose(loaded.get_latent_representation(), expected["latent"], atol=1e-5)
    # posteriors as wide as these ask much of any points
    np.testing.assert_allclose(loaded.predict_proba(), expected["probs"], atol=0.1)
    with monkeypatch.context() as then:
        then.setattr("mixvi.priors.mixture.normal_points", sobol_points)
        np.testing.assert_allclose(loaded.predict_proba(), expected["probs"], atol=1e-5)
    np.testing.assert_allclose(loaded.get_novelty(), expected["novelty"], rtol=1e-4)
    np.testing.assert_allclose(loaded.history["elbo_train"], expected["elbo"], rtol=1e-6)
    query = CGMDVAE.load_query_data(adata.copy(), FIXTURES / name)
    np.testing.assert_allclose(query.get_latent_representation(), expected["latent"], atol=1e-5)


def test_saved_loaded_saved_is_the_same(saved, tmp_path):
    first = RMVE.load(saved)
    first.save(tmp_path / "again")
    a, b = (
        torch.load(path / "model.pt", map_location="cpu", weights_only=False)
        for path in (saved, tmp_path / "again")
    )
    for name, tensor in a["model_state_dict"].items():
        if isinstance(tensor, torch.Tensor):
            assert torch.equal(tensor, b["model_state_dict"][name]), name
    assert list(a["var_names"]) == list(b["var_names"])
    assert a["attr_dict"].keys() == b["attr_dict"].keys()
    for name, value in a["attr_dict"].items():
        assert repr(value) == repr(b["attr_dict"][name]), name


def test_nothing_of_pandas_is_in_a_file(saved):
    """Its pickles change with its version."""
    found = torch.serialization.get_unsafe_globals_in_checkpoint(saved / "model.pt")
    assert not [name for name in found if name.startswith("pandas")]


def edit_manifest(directory, **changes):
    path = directory / "mixvi.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def truncate(path, share=0.5):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])


def flip(path):
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


DAMAGES = {
    "newer": (lambda d: edit_manifest(d, format=99, mixvi="9"), "format 99, written by mixvi 9"),
    "truncated": (lambda d: truncate(d / "model.pt"), "expected 'model.pt'.*found another content"),
    "one bit": (lambda d: flip(d / "model.pt"), "expected 'model.pt'.*found another content"),
    "cells truncated": (lambda d: truncate(d / "adata.h5ad"), "'adata.h5ad'.*another content"),
    "cells missing": (lambda d: (d / "adata.h5ad").unlink(), "'adata.h5ad'.*no such file"),
    "manifest": (lambda d: truncate(d / "mixvi.json"), "format and checksums.*found it damaged"),
    "manifest of another": (lambda d: (d / "mixvi.json").write_text("[1]"), "found it damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged(name, saved):
    damage, sentence = DAMAGES[name]
    damage(saved)
    with pytest.raises(ValueError, match=sentence) as caught:
        RMVE.load(saved)
    assert "; " in str(caught.value)
    if "cells" not in name:
        with pytest.raises(ValueError, match=sentence):
            tl.transfer(cells(), saved)
    else:
        assert RMVE.load(saved, adata=False).is_trained


def test_missing_and_foreign(saved, tmp_path):
    with pytest.raises(FileNotFoundError, match="found no directory"):
        RMVE.load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"found no model\.pt in it"):
        RMVE.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"found no b_model\.pt in it"):
        RMVE.load(saved, prefix="b_")
    with pytest.raises(ValueError, match="expected a saved CGMDVAE, found a saved RMVE"):
        CGMDVAE.load(saved)
    with pytest.raises(NotImplementedError, match="no model of this family"):
        RMVE.convert_legacy_save(str(saved), str(tmp_path / "new"))


# whole -----------------------------------------------------------------------------------------


class Stop(BaseException):
    """The process is gone."""


STEPS = ["write", "manifest", "sync", "replace 0", "replace 1", "replace 2"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("there", [False, True])
def test_lost_while_saving(step, there, model, tmp_path, monkeypatch):
    """What can be loaded afterwards is the old model or the new one, never a mixture."""
    target = tmp_path / "model"
    other = RMVE.load_query_data(cells(), model)  # the same weights, other attributes
    if there:
        other.save(target, save_anndata=True)

    def stop(*args, **kwargs):
        raise Stop

    calls = []

    def replace(self, path):
        if step == f"replace {len(calls)}":
            raise Stop
        calls.append(path)
        os.replace(self, path)

    def rename(self, path):
        if step.startswith("replace"):
            raise Stop
        os.rename(self, path)

    with monkeypatch.context() as patch:
        if step == "write":
            patch.setattr(torch, "save", stop)
        elif step == "manifest":
            patch.setattr("mixvi.model.saving.write_manifest", stop)
        elif step == "sync":
            patch.setattr("mixvi._files._sync", stop)
        patch.setattr(Path, "replace", replace)
        patch.setattr(Path, "rename", rename)
        with pytest.raises(Stop):
            model.save(target, overwrite=True, save_anndata=True)
    assert [path.name for path in tmp_path.iterdir()] == (["model"] if there else [])
    if there:
        loaded = RMVE.load(target)
        assert loaded.query_weights_ == other.query_weights_
        np.testing.assert_allclose(loaded.predict_proba(), model.predict_proba(), atol=1e-5)


def test_full_disk_keeps_the_old_model(model, saved, monkeypatch):
    def half(content, path, **kwargs):
        Path(path).write_bytes(bytes(100))
        raise RuntimeError(
            "PytorchStreamWriter failed writing file data/0: file write failed\nmore"
        )

    before = files(saved.parent)
    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match=r"expected to write 'model.pt' .*failed writing.*free space"):
        model.save(saved, overwrite=True)
    assert files(saved.parent) == before


def test_cells_of_the_model_before(model, saved):
    """An overwritten model does not come back with the cells of another."""
    model.save(saved, overwrite=True)
    assert sorted(files(saved)) == ["mixvi.json", "model.pt"]
    (saved / "notes.txt").write_text("mine")
    model.save(saved, "b_", overwrite=True)
    assert sorted(files(saved)) == [
        "b_mixvi.json", "b_model.pt", "mixvi.json", "model.pt", "notes.txt",
    ]  # fmt: skip
    for prefix in (None, "b_"):
        assert RMVE.load(saved, adata=False, prefix=prefix).is_trained


# safe ------------------------------------------------------------------------------------------


PLACES = {
    "everything": lambda content, evil: evil,
    "weights": lambda content, evil: {**content, "model_state_dict": evil},
    "among weights": lambda content, evil: {
        **content, "model_state_dict": {**content["model_state_dict"], "x": evil}
    },
    "names of genes": lambda content, evil: {
        **content, "var_names": np.array([evil], dtype=object)
    },
    "attributes": lambda content, evil: {
        **content, "attr_dict": {**content["attr_dict"], "history_": evil}
    },
    "registry": lambda content, evil: {
        **content, "attr_dict": {**content["attr_dict"], "registry_": {"model_name": evil}}
    },
    "further": lambda content, evil: {**content, "more": evil},
}  # fmt: skip


def spoiled(directory, place, marker, how):
    path = directory / "model.pt"
    content = torch.load(path, map_location="cpu", weights_only=False)
    content = PLACES[place](content, Evil(marker))
    (directory / "mixvi.json").unlink()  # or with a checksum made to fit
    if how == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    return path


@pytest.mark.parametrize("how", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("place", PLACES)
def test_code_in_a_model_is_not_run(place, how, saved, tmp_path):
    marker = tmp_path / "ran"
    path = spoiled(saved, place, marker, how)
    ways = [
        lambda: RMVE.load(saved, adata=False),
        lambda: RMVE.load_registry(saved),
        lambda: RMVE.load_query_data(cells(), saved),
        lambda: RMVE.prepare_query_anndata(cells(), saved),
        lambda: tl.transfer(cells(), saved),
    ]
    for way in ways:
        with pytest.raises(ValueError, match="expected"):
            way()
        assert not marker.exists()
    with pytest.raises(ValueError, match=re.escape("os.system") + "|posix.system|something else"):
        RMVE.load(saved, adata=False)
    torch.load(path, weights_only=False) if how != "pickle" else pickle.loads(path.read_bytes())
    assert marker.exists()  # it would have


def test_code_behind_the_command_line(saved, tmp_path):
    marker = tmp_path / "ran"
    spoiled(saved, "attributes", marker, "zip")
    cells().write_h5ad(tmp_path / "query.h5ad")
    result = CliRunner().invoke(app, [
        "map", str(tmp_path / "query.h5ad"), "--reference", str(saved),
        "-o", str(tmp_path / "out.h5ad"),
    ])  # fmt: skip
    assert result.exit_code == 2
    assert "system" in result.stderr
    assert not marker.exists()
    assert not (tmp_path / "out.h5ad").exists()


def test_cells_hold_no_code(saved, tmp_path):
    """HDF5 has no objects: what looks like a pickle stays text."""
    marker = tmp_path / "ran"
    adata = cells()
    adata.uns["payload"] = pickle.dumps(Evil(marker), protocol=0).decode()
    adata.obs["payload"] = adata.uns["payload"]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    RMVE.load(saved, adata=False).annotate(ad.read_h5ad(tmp_path / "cells.h5ad"))
    assert not marker.exists()
