import json

from benchmarks.store import add_row, provenance, read_rows, versions_if_there

KEYS = ("set", "seed")


def test_rows_are_added_sorted_and_replaced(tmp_path):
    path = tmp_path / "results" / "rows.json"
    assert read_rows(path) == []
    add_row(path, {"set": "b", "seed": 0, "ari": 0.1}, KEYS)
    add_row(path, {"set": "a", "seed": 1, "ari": 0.2}, KEYS)
    add_row(path, {"set": "b", "seed": 0, "ari": 0.3}, KEYS)
    assert [(r["set"], r["ari"]) for r in read_rows(path)] == [("a", 0.2), ("b", 0.3)]
    assert [p.name for p in path.parent.iterdir()] == ["rows.json"]


def test_provenance_names_versions_and_nothing_of_the_machine():
    found = provenance()
    json.dumps(found)
    assert {"scvi-tools", "scanpy", "mixvi"} <= set(found["versions"])
    assert "/" not in json.dumps(found)


def test_packages_that_are_not_installed_have_no_version():
    assert list(versions_if_there(("no-such-package-at-all", "numpy"))) == ["numpy"]
