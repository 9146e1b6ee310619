import numpy as np
import pytest
from benchmarks.labels import known_cells, score
from benchmarks.table_labels import labels_page

TRUTH = np.repeat(["T", "B", "NK"], [100, 30, 5])


def test_a_fifth_of_every_type_is_held_out():
    known = known_cells(TRUTH, "all", 0)
    assert [(~known[name == TRUTH]).sum() for name in ("T", "B", "NK")] == [20, 6, 1]


@pytest.mark.parametrize("n_each", ["1", "3", "20"])
def test_some_of_every_type_are_known(n_each):
    known = known_cells(TRUTH, n_each, 1)
    n = int(n_each)
    expected = [min(n, 50), min(n, 15), min(n, 2)]
    assert [known[name == TRUTH].sum() for name in ("T", "B", "NK")] == expected


def test_other_seeds_draw_other_cells():
    assert (known_cells(TRUTH, "6", 0) != known_cells(TRUTH, "6", 1)).any()


def test_what_is_called_new_is_wrong():
    scores = score(np.array(["T", "T", "B", "B"]), np.array(["T", "novel_1", "B", "T"]))
    assert scores["accuracy"] == 0.5
    assert scores["new"] == 0.25
    assert scores["macro_f1"] == pytest.approx((0.5 + 2 / 3) / 2)


def test_page_has_a_line_per_method():
    rows = [
        {"set": "pbmc3k", "n_each": n, "method": m, "seed": s, "accuracy": 0.5 + s / 10}
        | {"macro_f1": 0.4, "new": 0.02 * (m == "cgmdvae")}
        for n in ("all", "6")
        for m in ("cgmdvae", "logistic")
        for s in (0, 1)
    ]
    page = labels_page(rows)
    assert "## pbmc3k" in page
    assert "| `cgmdvae` | 0.550 (0.400), 0.020 new | 0.550 (0.400), 0.020 new | 2 |" in page
    assert "| `logistic` | 0.550 (0.400) | 0.550 (0.400) | 2 |" in page
