"""Bars: only for loops that take long, only for people, and never in the way of the items."""

import io
from contextlib import nullcontext

import pytest
from rich.console import Console

from mixvi import _progress
from mixvi._console import only_our_noise
from mixvi._progress import no_bars, progress


@pytest.fixture
def screen(monkeypatch):
    """What a terminal would show; ``screen.patience`` sets how long people wait."""
    shown = io.StringIO()
    monkeypatch.setattr(_progress, "PATIENCE", -1.0)
    monkeypatch.setattr(
        _progress, "Console", lambda stderr: Console(file=shown, force_terminal=True, width=80)
    )
    return shown


def test_long_loops_have_a_bar(screen):
    assert list(progress(range(5), "shuffled places")) == [0, 1, 2, 3, 4]
    assert "shuffled places" in screen.getvalue()


def test_short_loops_have_none(screen, monkeypatch):
    monkeypatch.setattr(_progress, "PATIENCE", 60.0)
    assert list(progress(range(5), "cells")) == [0, 1, 2, 3, 4]
    assert screen.getvalue() == ""


def test_files_and_quiet_people_get_none(screen, monkeypatch):
    with no_bars():
        assert list(progress(range(3), "cells")) == [0, 1, 2]
    monkeypatch.setattr(_progress, "Console", lambda stderr: Console(file=screen))
    assert list(progress(range(3), "cells")) == [0, 1, 2]
    assert screen.getvalue() == ""


@pytest.mark.parametrize("widgets", [True, False])
def test_notebooks_need_widgets(screen, monkeypatch, widgets):
    monkeypatch.setattr(
        _progress, "Console", lambda stderr: Console(file=screen, force_jupyter=True)
    )
    monkeypatch.setattr(_progress, "find_spec", lambda name: widgets or None)
    drawn = []

    class Bar(nullcontext):
        def add_task(self, what, total):
            drawn.append(what)

        def update(self, task, completed):
            pass

        def __enter__(self):
            return self

    monkeypatch.setattr(_progress, "Progress", lambda **_: Bar())
    assert list(progress(range(3), "cells")) == [0, 1, 2]
    assert drawn == ["cells"] * widgets


def test_items_come_one_by_one_and_errors_pass(screen):
    taken = []

    def items():
        for i in range(10):
            taken.append(i)
            yield i

    loop = progress(items(), "cells", total=10)
    assert taken == []
    assert next(loop) == 0
    assert taken == [0]
    loop.close()
    with pytest.raises(ZeroDivisionError):
        list(progress((1 / i for i in [1, 0]), "cells"))


def test_quiet_commands_get_none(screen):
    with only_our_noise(bars=False):
        list(progress(range(3), "cells"))
    assert screen.getvalue() == ""
    with only_our_noise():
        list(progress(range(3), "cells"))
    assert "cells" in screen.getvalue()
