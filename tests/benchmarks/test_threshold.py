import numpy as np
import pytest
from benchmarks.store import read_rows
from benchmarks.table_threshold import threshold_page

from benchmarks import threshold


@pytest.mark.parametrize("name", threshold.CELLS)
def test_cells_have_a_truth(name):
    adata, truth = threshold.make(name, 0)
    assert len(truth) == adata.n_obs
    assert len(np.unique(truth)) > 3


def test_rows_and_page(tmp_path, monkeypatch):
    """Every row is made once, and the mean counts every kind of cells once."""

    def run(name, model, seed):
        ari = [0.5 + 0.1 * (name == "PBMC")] * len(threshold.THRESHOLDS)
        shared = {"threshold": list(threshold.THRESHOLDS), "n_clusters": [4] * len(ari)}
        return {"cells": name, "model": model, "seed": seed, "ari": ari, "n_types": 5, **shared}

    monkeypatch.setattr(threshold, "run", run)
    output = tmp_path / "threshold.json"
    threshold.main(["--seeds", "3", "--cells", "PBMC", "--models", "RMVE", "-o", str(output)])
    threshold.main(["--seeds", "1", "--cells", "4*", "--models", "RMVE", "-o", str(output)])
    threshold.main(["--seeds", "3", "--cells", "PBMC", "--models", "RMVE", "-o", str(output)])
    rows = read_rows(output)
    assert len(rows) == 4
    page = threshold_page(rows)
    assert "| PBMC | RMVE | 3 | 5 | 0.600 (4) |" in page
    assert "| **mean** |  |  |  | 0.550 |" in page


def test_unknown_cells_are_refused(capsys):
    with pytest.raises(SystemExit):
        threshold.main(["--cells", "brain"])
    assert "expected --cells among PBMC" in capsys.readouterr().err
