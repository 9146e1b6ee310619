import numpy as np
import pytest
import torch
from benchmarks.store import read_rows
from benchmarks.table_speed import speed_page

from benchmarks import speed, speed_cells
from mixvi import distributions


def test_many_cells_are_copies_that_lost_counts():
    source = speed_cells.many_cells(None, 50)
    cells = speed_cells.many_cells(source, 400)
    assert abs(cells.n_obs - 400) <= 4  # those without a count left are dropped
    assert cells.X.dtype == np.float32
    assert (cells.X.data > 0).all()
    per_cell = cells.X.sum() / cells.n_obs / (source.X.sum() / source.n_obs)
    assert per_cell == pytest.approx(speed_cells.THINNED, abs=0.1)
    again = speed_cells.many_cells(source, 400)
    assert (cells.X != again.X).nnz == 0


def test_parity_is_checked(monkeypatch):
    cells = speed_cells.many_cells(None, 50)
    speed_cells.check_parity(cells)

    class Wrong(distributions.NegativeBinomial):
        def cell_log_prob(self, x):
            return super().cell_log_prob(x) * (1 + 1e-4)

    monkeypatch.setattr(distributions, "NegativeBinomial", Wrong)
    with pytest.raises(AssertionError):
        speed_cells.check_parity(cells)


def test_ratios_are_those_of_one_round():
    costs = {"a": iter([4.0, 8.0, 6.0]), "b": iter([2.0, 2.0, 2.0])}
    order = []

    def job(name):
        order.append(name)
        wall = next(costs[name])
        return speed.Cost(wall, wall / 2)

    found = speed.compared({name: lambda name=name: job(name) for name in costs}, "a", 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found["b"] == {"seconds": 2.0, "ratio": 3.0, "low": 2.0, "high": 4.0, "cpu_ratio": 3.0}
    assert found["a"]["ratio"] == 1


def test_of_one_epoch_leaves_out_what_a_run_costs_once(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(speed, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(speed, "process_time", lambda: clock[0] / 2)

    def train(epochs):
        clock[0] += 100 + 7 * epochs

    assert speed.of_one_epoch(train) == speed.Cost(7.0, 3.5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The number of training batches")  # of SCVI
def test_everything_runs_and_makes_a_page(tmp_path):
    threads = torch.get_num_threads()
    speed.main(["--smoke", "-o", str(tmp_path / "speed.json")])
    torch.set_num_threads(threads)
    rows = read_rows(tmp_path / "speed.json")
    assert {row["what"] for row in rows} == set(speed.MEASURES)
    page = speed_page(rows)
    for title in ("## Training", "## Many components", "## Memory"):
        assert title in page
