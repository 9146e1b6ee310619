"""The page of promises names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_promise_has_its_test():
    page = (ROOT / "docs" / "user_guide" / "promises.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and "promise |" not in line]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(
            r"`(tests/[\w/]+\.py)?(?:::(\w+))?`", row.rpartition("|")[0].split(" | ")[-1]
        )
        assert named, row
        path = ""
        for file, name in named:
            path = file or path
            source = (ROOT / path).read_text()
            assert not name or f"def {name}(" in source, (path, name)
