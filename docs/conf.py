"""Sphinx configuration: API pages follow ``__all__``, result tables come from benchmarks/."""

import importlib
import inspect
import os
import warnings
from importlib.metadata import version as installed_version
from pathlib import Path

# sphinx-autodoc-typehints calls what Sphinx will drop; nothing that we could change.
warnings.filterwarnings("ignore", message=".*set_application.*is deprecated")

HERE = Path(__file__).parent
ROOT = HERE.parent

project = "mixvi"
author = "mixvi developers"
copyright = "mixvi developers"
version = release = installed_version("mixvi")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_autodoc_typehints",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_generated", "**.ipynb_checkpoints"]
suppress_warnings = [
    "config.cache",  # a formatter is a function, which cannot be pickled
    "myst.header",  # included tables and the changelog begin at their own level
    "sphinx_autodoc_typehints.forward_reference",  # shapes in jaxtyping annotations
    "sphinx_autodoc_typehints.guarded_import",
]

# Pages ------------------------------------------------------------------------------------------
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # tutorials are committed executed
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Links to other projects need a network, so they are made on request only.
ONLINE = bool(os.environ.get("INTERSPHINX") or os.environ.get("READTHEDOCS"))
intersphinx_mapping = (
    {
        "anndata": ("https://anndata.readthedocs.io/en/stable/", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "pandas": ("https://pandas.pydata.org/docs/", None),
        "python": ("https://docs.python.org/3", None),
        "scanpy": ("https://scanpy.readthedocs.io/en/stable/", None),
        "scvi-tools": ("https://docs.scvi-tools.org/en/stable/", None),
        "torch": ("https://docs.pytorch.org/docs/stable/", None),
    }
    if ONLINE
    else {}
)

# API --------------------------------------------------------------------------------------------
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # sphinx-autodoc-typehints writes them beside the parameters
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = True  # sphinx-autodoc-typehints looks for :param:
napoleon_preprocess_types = False
typehints_defaults = "comma"
always_use_bars_union = True


def typehints_formatter(annotation, config):
    """Show jaxtyping shapes as code, ``Float[Tensor, "cells genes"]``; leave the rest alone."""
    if getattr(annotation, "__module__", "").startswith("jaxtyping"):
        return f"``{getattr(annotation, '__name__', annotation)}``"
    return None


def origin(member):
    """Return the module that a method, property or descriptor was written in."""
    member = getattr(member, "fget", None) or getattr(member, "func", None) or member
    return getattr(inspect.unwrap(member), "__module__", None) or ""


def inherited_from_scvi():
    """List for each model the public methods that scvi-tools gives it."""
    package = importlib.import_module("mixvi.model")
    models = {name: getattr(package, name) for name in getattr(package, "__all__", [])}
    return {
        name: [
            method
            for method, value in inspect.getmembers(model, inspect.isroutine)
            if not method.startswith("_") and origin(value).startswith("scvi.")
        ]
        for name, model in models.items()
        if inspect.isclass(model)
    }


def skip_foreign_members(app, what, name, obj, skip, options):
    """Leave what torch, lightning and scvi-tools wrote to their own documentation."""
    if what == "class" and not skip and origin(obj) and not origin(obj).startswith("mixvi"):
        return True
    return None


autosummary_context = {"from_scvi": inherited_from_scvi()}

# Look -------------------------------------------------------------------------------------------
html_theme = "sphinx_book_theme"
html_title = "mixvi"
html_static_path = ["_static"]
html_css_files = ["mixvi.css"]
html_show_sphinx = False
toc_object_entries_show_parents = "hide"
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "home_page_in_toc": False,
    "navbar_persistent": [],  # the sidebar has the search field already
}


def copy_results():
    """Bring the tables of benchmarks/results to where a page can include them."""
    generated = HERE / "_generated"
    generated.mkdir(exist_ok=True)
    pages = (
        "clustering",
        "conditional",
        "ablation",
        "images",
        "integration",
        "labels",
        "mapping",
        "perturbation",
        "space",
        "speed",
        "threshold",
    )
    for name in (f"{page}.md" for page in pages):
        table = ROOT / "benchmarks" / "results" / name
        text = table.read_text("utf-8") if table.exists() else "No results are stored."
        (generated / name).write_text(text, "utf-8")


def escape_conditioning_bar(app, what, name, obj, options, lines):
    """Keep the bar of p(·|·) from starting a reStructuredText substitution."""
    lines[:] = [line.replace("·|·", r"·\|·") for line in lines]


def setup(app):
    """Connect the hooks above."""
    copy_results()
    app.connect("autodoc-process-docstring", escape_conditioning_bar)
    app.connect("autodoc-skip-member", skip_foreign_members)
