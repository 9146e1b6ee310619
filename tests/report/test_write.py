"""The page: what it says, that it is harmless, alone and small."""

import base64
import re
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from tests.model.specs import QUICK
from tests.report.cells import add_tree, annotated
from tests.report.page import parse

from mixvi import datasets, tl
from mixvi.report import write_report


def report(adata, tmp_path, **options):
    write_report(adata, tmp_path / "page.html", **options)
    return parse(tmp_path / "page.html")


def test_content(tmp_path):
    page = report(annotated(), tmp_path, title="My cells")
    words = page.words
    assert "My cells" in words[""]
    assert "CGMDVAE · 1 March 2026, 12:30 UTC" in words[""]
    assert "300 cells" in words[""]
    assert "3 clusters" in words[""]
    for k, name in enumerate(["T", "B", "NK"]):
        assert f"{name} 100 (33%) 0.95 type {name} 100%" in words["clusters"]
        (row,) = re.findall(rf"{name} 100 \(33%\).*?(?=100 \(33%\)|Confidence:)", words["clusters"])
        assert f"×g{k}," in row  # the best marker comes first
    assert "T1.00" in words["markers"]
    assert "Against cell_type" in words["labels"]
    assert "0 cells could be" not in words["sure"]
    assert "Batch: donor" in words["batches"]
    assert "60 of at most 60 epochs; until epoch 30" in words["training"]
    assert "The curve had settled" in words["training"]
    assert "300 × 40" in words["run"]
    assert "mixvi 0.1.0" in words["run"]
    assert "mixvi.tl.cgmdvae(adata, batch_key='donor', rng=0)" in words["again"]


def test_cells_come_back_from_the_payload(tmp_path):
    adata = annotated()
    payload = report(adata, tmp_path).payload
    columns = {column["key"]: column for column in payload["columns"]}
    assert list(columns)[:3] == ["cgmdvae", "cell_type", "cgmdvae_confidence"]
    cells = adata[payload["names"].split("\n")]
    assert payload["n"] == adata.n_obs == len(set(cells.obs_names))
    xy = np.frombuffer(base64.b64decode(payload["xy"]), "<u2").reshape(-1, 2) / 65534
    expected = cells.obsm["X_umap"] - adata.obsm["X_umap"].min(0)
    np.testing.assert_allclose(xy, expected / np.ptp(adata.obsm["X_umap"], 0).max(), atol=1e-4)
    for key in ("cgmdvae", "cell_type", "donor"):
        codes = np.frombuffer(base64.b64decode(columns[key]["data"]), "u1")
        assert list(np.array(columns[key]["names"])[codes]) == list(cells.obs[key])
    novelty = columns["cgmdvae_novelty"]
    share = np.frombuffer(base64.b64decode(novelty["data"]), "<u2") / 65534
    low, high = novelty["range"]
    np.testing.assert_allclose(low + share * (high - low), cells.obs["cgmdvae_novelty"], atol=1e-3)


def test_missing_values_have_codes_of_their_own(tmp_path):
    adata = annotated()
    adata.obs["cell_type"] = adata.obs["cell_type"].where(np.arange(300) > 9)
    adata.obs["score"] = np.where(np.arange(300) > 9, 1.5, np.nan)
    page = report(adata, tmp_path, label_key="cell_type")
    columns = {column["key"]: column for column in page.payload["columns"]}
    codes = np.frombuffer(base64.b64decode(columns["cell_type"]["data"]), "u1")
    score = np.frombuffer(base64.b64decode(columns["score"]["data"]), "<u2")
    assert (codes == 255).sum() == (score == 65535).sum() == 10


EVIL = "<script>alert(1)</script>"
QUOTED = "\"'><img src=x onerror=alert(1)>&{{7*7}}"


def test_names_are_harmless(tmp_path):
    adata = annotated(names=(EVIL, QUOTED, "</style></script>"))
    add_tree(adata)
    adata.obs["donor"] = adata.obs["donor"].replace({"d1": EVIL, "d2": QUOTED})
    adata.obs[EVIL] = "yes"
    adata.obs_names = [f"{EVIL}{i}\n\u2028" for i in range(300)]
    adata.obsm["cgmdvae_probs"].index = adata.obs_names
    adata.var_names = [EVIL, QUOTED, *adata.var_names[2:]]
    adata.uns["cgmdvae"]["call"] = EVIL
    adata.uns["cgmdvae"]["params"] = {EVIL: QUOTED}
    adata.uns["cgmdvae"]["versions"] = {QUOTED: EVIL}
    adata.uns["cgmdvae_colors"] = ["red;background:url(https://x.test/)", QUOTED, EVIL]
    page = report(adata, tmp_path, title=EVIL)
    ordinary = annotated()
    add_tree(ordinary)
    harmless = report(ordinary, tmp_path)
    for tag in ("script", "style", "img", "iframe", "link"):
        assert len(page.every(tag)) == len(harmless.every(tag)), tag
    assert not page.every("img")
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert "url(" not in (attributes.get("style") or "")
    assert EVIL in page.words["clusters"]  # shown as it is, as text
    assert QUOTED in page.words["clusters"]
    assert page.payload["columns"][0]["names"][0] == EVIL
    assert "<script>" not in page.scripts[0]
    assert len(page.payload["names"].split("\n")) == 300


def test_asks_for_nothing(tmp_path):
    page = report(annotated(), tmp_path)
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "srcset", "data"):
            assert (attributes.get(name) or "#").startswith("#")
    (policy,) = [a["content"] for a in page.every("meta") if "http-equiv" in a]
    assert "default-src 'none'" in policy
    assert "@import" not in page.text[""]


def test_outline(tmp_path):
    page = report(annotated(), tmp_path)
    assert page.tags[0][0] == "html"
    assert page.every("html") == [{"lang": "en"}]
    assert len(page.ids) == len(set(page.ids))
    assert len(page.every("h1")) == len(page.every("main")) == 1
    links = {a["href"].removeprefix("#") for a in page.every("a")}
    assert links <= set(page.ids)
    for section in page.every("section"):
        assert section["aria-labelledby"] in page.ids
    for chart in page.every("svg"):
        assert chart["role"] == "img"
        assert chart["aria-label"]


@pytest.mark.parametrize(
    ("missing", "section"),
    [
        (lambda a: a.uns.update(cgmdvae={"components": ["0"]}), "training"),
        (lambda a: a.uns["cgmdvae"].update(setup={}), "batches"),
        (lambda a: a.uns["cgmdvae"].update(setup={}), "labels"),
        (lambda a: delattr(a, "X"), "markers"),
    ],
)
def test_what_is_not_there_is_left_out(missing, section, tmp_path):
    adata = annotated()
    missing(adata)
    page = report(adata, tmp_path)
    assert section not in page.ids
    assert f"#{section}" not in {a["href"] for a in page.every("a")}
    assert "clusters" in page.ids


def test_nothing_is_changed(tmp_path):
    adata = annotated()
    adata.X.data[::7] = 0  # zeros that are stored
    before = adata.copy()
    report(adata, tmp_path)
    assert list(adata.uns) == list(before.uns)
    assert list(adata.obsm) == list(before.obsm)
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    np.testing.assert_array_equal(adata.X.data, before.X.data)
    np.testing.assert_array_equal(adata.X.indptr, before.X.indptr)


def test_a_page_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    page = tmp_path / "page.html"
    page.write_text("old")

    def lost(self, text, encoding):
        self.write_bytes(text[:100].encode(encoding))
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", lost)
        with pytest.raises(OSError, match="disk full"):
            write_report(annotated(), page)
    assert page.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    write_report(annotated(), str(page))
    assert page.read_text("utf-8").endswith("</html>")
    with pytest.raises(FileNotFoundError):
        write_report(annotated(), tmp_path / "nowhere" / "page.html")


def test_latest_run_or_the_one_that_is_named(tmp_path):
    adata = annotated(key="old")
    newer = annotated(names=("x", "y"), key="new")
    adata.obs = adata.obs.join(newer.obs.filter(like="new"))
    adata.obsm["new_probs"], adata.uns["new"] = newer.obsm["new_probs"], dict(newer.uns["new"])
    adata.uns["new"]["date"] = "2026-04-01T00:00:00+00:00"
    assert "2 clusters" in report(adata, tmp_path).words[""]
    assert "3 clusters" in report(adata, tmp_path, key="old").words[""]
    with pytest.raises(KeyError, match=r"a run of mixvi 'none' .* found 'old', 'new'; run"):
        report(adata, tmp_path, key="none")
    with pytest.raises(KeyError, match="found none; run"):
        report(ad.AnnData(np.ones((3, 3))), tmp_path)
    with pytest.raises(KeyError, match=r"'typo' in adata\.obs"):
        report(adata, tmp_path, label_key="typo")


def test_what_a_run_writes_is_enough(tmp_path):
    adata = datasets.simulate(200, 50, n_components=3, n_batches=2, depth=300, rng=0)
    tl.cgmdvae(adata, batch_key="batch", train_kwargs=QUICK, key_added="mix", rng=3)
    adata.write_h5ad(tmp_path / "out.h5ad")
    page = report(ad.read_h5ad(tmp_path / "out.h5ad"), tmp_path, label_key="component")
    assert {"clusters", "markers", "labels", "sure", "batches", "training"} <= set(page.ids)
    assert "4 of at most 4 epochs" in page.words["training"]
    assert "computed for this report from X_mix" in page.words["map"]
    assert "mixvi.tl.cgmdvae( adata, n_components='auto', batch_key='batch'" in page.words["again"]
    assert "key='mix'" in page.words["again"]
    assert "Too few epochs to say" in page.words["training"]


@pytest.mark.slow
def test_many_cells_stay_small(tmp_path):
    n = 100_000
    adata = annotated(n, names=[f"cluster {k}" for k in range(30)], n_genes=60)
    adata.obs_names = [f"SAMPLE_{i % 7}_{'ACGT' * 4}-{i}" for i in range(n)]
    adata.obsm["cgmdvae_probs"].index = adata.obs_names
    for j in range(10):
        adata.obs[f"score {j}"] = np.random.default_rng(j).normal(size=n)
    del adata.obsm["X_umap"]
    page = report(adata, tmp_path)
    assert page.payload["n"] == n
    assert "principal components" in page.words["map"]
    assert (tmp_path / "page.html").stat().st_size < 15e6
