from benchmarks.store import add_row

from benchmarks import table


def test_command_writes_pages_of_the_results_that_exist(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "PAGES", {"one": lambda rows: f"{rows}", "other": None})
    add_row(tmp_path / "one.json", {"seed": 0}, ("seed",))
    table.main(["--results", str(tmp_path)])
    assert (tmp_path / "one.md").read_text(encoding="utf-8") == "[{'seed': 0}]"
    assert not (tmp_path / "other.md").exists()
