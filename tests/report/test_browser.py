"""The page in a real browser: Debian's chromium, driven by Playwright.

``make test-browser`` runs these; axe-core is looked for at ``AXE_CORE``, its ``axe.min.js``.
"""

import os
import shutil
from pathlib import Path

import pytest
from tests.report.cells import add_tree, annotated

from mixvi.report import write_report

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
EVIL = "<img src=x onerror=alert(1)>"
INK = """(least) => {
  const canvas = document.getElementById("cells"), c = canvas.getContext("2d");
  const pixels = c.getImageData(0, 0, canvas.width, canvas.height).data, seen = new Map();
  for (let i = 0; i < pixels.length; i += 4) {
    if (pixels[i + 3] < 200) continue;
    const color = [pixels[i] >> 5, pixels[i + 1] >> 5, pixels[i + 2] >> 5].join();
    seen.set(color, (seen.get(color) || 0) + 1);
  }
  return [...seen.values()].filter((n) => n > least).length;
}"""
# where a drawn dot is: the middle of an opaque pixel that lies in a disk of opaque ones
DOT = """() => {
  const canvas = document.getElementById("cells"), c = canvas.getContext("2d");
  const { width, height } = canvas, p = c.getImageData(0, 0, width, height).data;
  const solid = (x, y) => p[4 * (y * width + x) + 3] > 200;
  for (let y = 9; y < height - 9; y++) for (let x = 9; x < width - 9; x++)
    if (solid(x, y) && solid(x + 1, y + 1) && solid(x - 1, y + 1)) {
      const box = canvas.getBoundingClientRect();
      return [box.x + x * box.width / width, box.y + (y + 1) * box.height / height];
    }
}"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def playwright():
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    adata = annotated(600, names=(EVIL, "B", "NK & co"))
    adata.obs["cell_type"] = adata.obs["cell_type"].str.upper()
    add_tree(adata)
    path = tmp_path_factory.mktemp("report") / "page.html"
    write_report(adata, path, title=EVIL)
    return path


@pytest.fixture
def visit(playwright, path, tmp_path):
    """Open the page; afterwards nothing may have been said or asked for."""
    opened, said, asked = [], [], []

    def visit(scheme="light", width=1200, **options):
        context = playwright.chromium.launch_persistent_context(
            tmp_path / f"profile{len(opened)}",
            executable_path=CHROMIUM,
            args=FLAGS,
            color_scheme=scheme,
            viewport={"width": width, "height": 900},
            **options,
        )
        opened.append(context)
        page = context.pages[0] if context.pages else context.new_page()
        # that pixels are read often is the tests' own doing
        page.on(
            "console",
            lambda message: "willReadFrequently" in message.text or said.append(message.text),
        )
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_function("document.querySelectorAll('#legend button').length > 0")
        return page

    yield visit
    for context in opened:
        context.close()
    assert said == []
    assert set(asked) == {path.as_uri()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_is_drawn(visit, scheme):
    page = visit(scheme)
    assert page.evaluate(INK, 100) >= 3  # three clusters, three colors
    assert page.locator("svg.chart").count() >= 4
    for chart in page.locator("section > figure svg.chart, .grid > figure svg.chart").all()[:3]:
        box = chart.bounding_box()
        assert box["width"] > 250
        assert box["height"] > 100
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, background[4:-1].split(","))) > 3 * 128
    assert light == (scheme == "light")
    assert page.locator("h1").inner_text() == EVIL
    assert page.locator("img").count() == 0


def test_scheme_changes_while_open(visit):
    page = visit("light")
    before = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    page.emulate_media(color_scheme="dark")
    after = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    assert before != after
    assert page.evaluate(INK, 100) >= 3


def test_hover_says_what_a_cell_is(visit):
    page = visit()
    page.locator("#cells").scroll_into_view_if_needed()
    tip = page.locator("#tip")
    assert tip.is_hidden()
    page.mouse.move(*page.evaluate(DOT))
    assert tip.is_visible()
    words = tip.inner_text().split("\n")
    assert words[0].startswith("cell")
    assert "cgmdvae" in words
    cluster = words[words.index("cgmdvae") + 1]
    label = words[words.index("cell_type") + 1]
    assert label == f"type {cluster}".upper()
    assert words[words.index("cgmdvae_confidence") + 1] == "0.95"
    box = page.locator("#cells").bounding_box()
    page.mouse.move(box["x"] + box["width"] + 40, box["y"])
    assert tip.is_hidden()


def test_colors_legend_and_zoom(visit):
    page = visit()
    three = page.evaluate(INK, 100)
    first = page.locator("#legend button").first
    first.click()
    assert first.get_attribute("aria-pressed") == "true"
    assert page.evaluate(INK, 100) < three  # the others are faint
    page.select_option("#color-by", label="cgmdvae_novelty")
    assert page.locator("#legend .ramp").count() == 1
    assert page.evaluate(INK, 5) > 5  # a ramp of colors
    small = page.evaluate(INK, 0)
    page.locator("#zoom-in").click(click_count=4)
    assert page.evaluate(INK, 0) != small
    page.locator("#zoom-all").click()
    assert page.evaluate(INK, 0) == small


def test_keyboard_alone(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert {"color-by", "zoom-in", "cells", "scroll"} <= reached
    page.locator("#cells").focus()
    before = page.evaluate(DOT)
    page.keyboard.press("ArrowUp")
    assert page.evaluate(DOT) != before
    head = page.locator("#cluster-table thead button").first
    head.focus()
    names = "[...document.querySelectorAll('#cluster-table tbody th')].map((e) => e.textContent)"
    page.keyboard.press("Enter")
    up = page.evaluate(names)
    page.keyboard.press("Enter")
    assert page.evaluate(names) == up[::-1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_merge_tree_is_drawn(visit, scheme):
    page = visit(scheme, width=390)
    tree = page.locator("#tree svg.chart")
    tree.scroll_into_view_if_needed()
    box = tree.bounding_box()
    assert box["width"] >= 560  # it scrolls inside its frame and can be read
    colors = page.evaluate(
        "[...document.querySelectorAll('#tree .within')].map((e) => getComputedStyle(e).stroke)"
    )
    assert len(set(colors)) == 3
    assert page.locator("#tree .own").count() == 3
    ink = page.evaluate("getComputedStyle(document.querySelector('#tree .between')).stroke")
    background = page.evaluate("getComputedStyle(document.querySelector('#tree')).backgroundColor")
    assert ink not in {"none", background}
    page.evaluate("document.querySelector('#tree .scroll').scrollLeft = 999")
    assert page.evaluate("document.querySelector('#tree .scroll').scrollLeft") > 0


@pytest.mark.parametrize("width", [320, 390, 768])
def test_narrow_screens_do_not_scroll_sideways(visit, width):
    page = visit(width=width, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#cells").scroll_into_view_if_needed()
    page.touchscreen.tap(*page.evaluate(DOT))
    assert page.locator("#tip").is_visible()


def test_a_phone_shows_that_the_table_goes_on(visit):
    page = visit(width=390)
    heading = page.locator("#cluster-table thead th").nth(3).bounding_box()
    assert heading["x"] < 390 - 20  # what the clusters are, partly; the shade says: there is more
    frame = "document.querySelector('#cluster-table').parentElement"
    assert page.evaluate(f"{frame}.scrollWidth > {frame}.clientWidth")
    shades = page.evaluate(f"getComputedStyle({frame}).backgroundAttachment")
    assert shades == "local, local, scroll, scroll"


def test_prints_everything(visit, tmp_path):
    page = visit("dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 20_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.skipif("AXE_CORE" not in os.environ, reason="AXE_CORE names no axe.min.js")
def test_axe_finds_nothing_serious(visit, scheme):
    page = visit(scheme)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.evaluate(Path(os.environ["AXE_CORE"]).read_text("utf-8"))
    found = page.evaluate("axe.run().then((result) => result.violations)")
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [node["html"] for node in v["nodes"]][:3]) for v in serious]
