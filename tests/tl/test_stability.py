import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mixvi import metrics, tl


@pytest.fixture
def adata():
    first = np.repeat(["a", "b", "c"], 20)
    second = np.repeat(["x", "y"], 30)  # b is cut in two
    same = np.repeat(["2", "0", "1"], 20)
    obs = pd.DataFrame(
        {"run": pd.Categorical(first), "other": second, "same": same},
        index=[f"cell{i}" for i in range(60)],
    )
    return ad.AnnData(np.ones((60, 1)), obs=obs)


def test_scores_are_jaccard_indices(adata):
    tl.stability(adata, ["other", "same"], key="run")
    expected = {"a": (20 / 30 + 1) / 2, "b": (10 / 40 + 1) / 2, "c": (20 / 30 + 1) / 2}
    assert adata.uns["run_stability"]["stability"].to_dict() == pytest.approx(expected)
    by_cell = adata.obs["run"].astype(str).map(expected)
    np.testing.assert_allclose(adata.obs["run_stability"], by_cell)
    scores = metrics.cluster_stability(adata.obs["run"], [adata.obs["same"]])
    assert (scores == 1).all()


def test_copy(adata, tmp_path):
    adata.obs["run"] = adata.obs["run"].cat.rename_categories({"a": "CD4/CD8"})
    copy = tl.stability(adata, ["other"], key="run", copy=True)
    assert "run_stability" not in adata.obs
    copy.write_h5ad(tmp_path / "cells.h5ad")
    stored = ad.read_h5ad(tmp_path / "cells.h5ad").uns["run_stability"]["stability"]
    assert stored["CD4/CD8"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("others", "error", "message"),
    [
        (["nobody"], KeyError, "'nobody'"),
        ([], ValueError, "list of other clusterings"),
        ("x", KeyError, "'x'"),
    ],
)
def test_bad_names(adata, others, error, message):
    with pytest.raises(error, match=message):
        tl.stability(adata, others, key="run")
