"""The pages: blocks of code are code, what they name exists, and links lead somewhere."""

import ast
import builtins
import importlib
import inspect
import re
import shlex
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import scanpy as sc
import typer

import mixvi
from mixvi import datasets
from mixvi.cli import app
from mixvi.model import CGMDVAE, RMVE

mpl.use("Agg")
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LEFT_OUT = {"_build", "_generated", "generated", "tutorials"}
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    + [page for page in DOCS.rglob("*.md") if not LEFT_OUT & set(page.relative_to(DOCS).parts)]
)
COMMANDS = typer.main.get_command(app).commands
MODELS = (CGMDVAE, RMVE)
INSTANCE = {"adata", "history", "module"}  # of a model, beside what ends in an underscore
USUAL = {"mixvi": mixvi, "model": CGMDVAE, "atlas": CGMDVAE, "linear": RMVE}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page, language):
    """Fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)


def follow(path, names):
    """What a dotted path means; names that a page makes itself are left alone."""
    first, *rest = path.split(".")
    if first not in names:
        return None
    found = names[first]
    for name in rest:
        if found in MODELS and (name.endswith("_") or name in INSTANCE):
            return None
        assert hasattr(found, name), f"{path}: {found!r} has no {name!r}"
        found = getattr(found, name)
    return found


def dotted(node):
    if isinstance(node, ast.Attribute):
        start = dotted(node.value)
        return start and f"{start}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else None


def learn(node, names):
    """Names that a statement makes, as far as they are ours."""
    if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "mixvi":
        module = importlib.import_module(node.module)
        for alias in node.names:
            names[alias.asname or alias.name] = getattr(module, alias.name)
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        made = follow(dotted(node.value.func) or "", names)
        if inspect.ismethod(made):  # load, load_query_data
            made = made.__self__
        for target in node.targets:
            if isinstance(target, ast.Name) and (made in MODELS or target.id in names):
                names[target.id] = made if made in MODELS else None
                if made not in MODELS:
                    del names[target.id]


@each_page
def test_blocks_of_python_name_what_there_is(page):
    names = dict(USUAL)
    for block in blocks(page, "python"):
        for statement in ast.parse(block).body:
            learn(statement, names)
            for node in ast.walk(statement):
                if isinstance(node, ast.Attribute):
                    follow(dotted(node) or "", names)
                if not isinstance(node, ast.Call):
                    continue
                called = follow(dotted(node.func) or "", names)
                if not callable(called):
                    continue
                accepted = inspect.signature(called).parameters
                if not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
                    wrong = {keyword.arg for keyword in node.keywords} - set(accepted)
                    assert not wrong, f"{ast.unparse(node)}: no parameter {wrong}"


@each_page
def test_code_in_the_text_names_what_there_is(page):
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.S | re.M)
    for path in re.findall(r"`(mixvi\.[\w.]*\w|model\.\w+)", text):
        if path.startswith("model."):
            name = path.removeprefix("model.")
            assert name.endswith("_") or any(hasattr(model, name) for model in MODELS), path
            continue
        parts = path.split(".")
        module, names = mixvi, parts[1:]
        while names and not hasattr(module, names[0]):
            module = importlib.import_module(f"{module.__name__}.{names.pop(0)}")
        follow(".".join(["it", *names]), {"it": module})
    for path in re.findall(r"\{(?:class|func|meth|mod)\}`~?(mixvi[\w.]+)`", text):
        follow(path, {"mixvi": mixvi})


@pytest.mark.parametrize("name", mixvi.pl.__all__)
def test_every_plot_has_a_place(name):
    assert f"`mixvi.pl.{name}(" in (DOCS / "user_guide" / "plots.md").read_text("utf-8")
    tutorials = [path.read_text("utf-8") for path in (ROOT / "tutorials").glob("*.py")]
    assert any(f"mixvi.pl.{name}(" in text for text in tutorials)


def test_architecture_shows_every_package():
    picture = (DOCS / "_static" / "architecture.svg").read_text("utf-8")
    packages = [path.parent.name for path in (ROOT / "src" / "mixvi").glob("*/__init__.py")]
    assert {"priors", "tl", "report"} < set(packages)
    for package in packages:
        assert f">{package}</text>" in picture, package


def options(command):
    return {name for option in command.params for name in (*option.opts, *option.secondary_opts)}


@each_page
def test_commands_have_their_options(page):
    for block in [*blocks(page, "bash"), *blocks(page, "console")]:
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] != ["mixvi"] or not words[1:] or words[1].startswith("-"):
                continue
            assert words[1] in COMMANDS, line
            used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            assert used <= options(COMMANDS[words[1]]) | {"--help", "-h"}, line


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_on_the_page_of_the_command_line(command):
    text = (DOCS / "cli.md").read_text("utf-8")
    section = re.search(rf"^## `mixvi {command}`.*?(?=^## |\Z)", text, re.S | re.M)[0]
    shared = text if "as above" in section else section
    for option in options(COMMANDS[command]):
        if option.startswith("--"):
            assert f"`{option}`" in shared or f"{option} " in shared, option


@each_page
def test_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    keys = set(re.findall(r"^@\w+\{([^,]+),", (DOCS / "references.bib").read_text("utf-8"), re.M))
    for cited in re.findall(r"\{cite:[pt]\}`([^`]+)`", text):
        assert set(cited.split(",")) <= keys, cited
    for target in re.findall(r"\{doc\}`(?:[^`<]*<)?([^`<>]+)>?`", text):
        start = DOCS if target.startswith("/") else page.parent
        found = [start / f"{target.strip('/')}{end}" for end in (".md", ".ipynb")]
        assert any(path.exists() for path in found), target
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", path):
            assert path.startswith("https://"), target
        elif path:
            assert (page.parent / path).exists(), target
        else:
            headings = re.findall(r"^#+ (.*)$", text, re.M)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
    for picture in re.findall(r"^```\{figure\} (\S+)", text, re.M):
        assert (page.parent / picture).exists(), picture


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of UMAP, and of short runs
@pytest.mark.parametrize("name", ["README.md", "docs/quickstart.md", "docs/index.md"])
def test_pages_for_beginners_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mixvi.model.training.default_epochs", lambda n_obs, batch_size: 4)
    cells = datasets.simulate(200, 60, n_components=3, n_batches=2, n_conditions=2, rng=0)
    cells.obs = cells.obs.rename(columns={"batch": "donor", "component": "cell_type"})
    cells.obs["stim"] = cells.obs["condition"].cat.rename_categories(["control", "stimulated"])
    cells.layers["counts"] = cells.X.copy()
    monkeypatch.setattr("scanpy.read_h5ad", lambda path: cells.copy())
    # four epochs leave clusters of one cell, of which scanpy has no statistics
    rank = sc.tl.rank_genes_groups
    monkeypatch.setattr(
        "scanpy.tl.rank_genes_groups",
        lambda *args, **options: rank(*args, **options) if options else None,
    )
    new = datasets.simulate(50, 60, n_components=3, n_batches=2, n_conditions=2, rng=0)
    new.obs = cells.obs.iloc[:50].copy()
    new.layers["counts"] = new.X.copy()
    names = {
        "__builtins__": builtins,
        "adata": cells.copy(),
        "new_adata": new,
        "new_cells": new.copy(),
    }
    for block in blocks(ROOT / name, "python"):
        exec(compile(block, name, "exec"), names)
        plt.close("all")
