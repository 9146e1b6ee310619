# One virtual environment, made once and again only when pyproject.toml or constraints/ change.
# Another interpreter beside it:  make test VENV=.venv313 PYTHON=python3.13

VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done; echo python3)
# scvi-tools 1.4.2 is the last one for Python 3.11, so 3.11 has pins of its own.
PINS = constraints/$$($(BIN)/python -c 'import sys; print("python311" if sys.version_info < (3, 12) else "python313")').txt
PIP = $(BIN)/python -m pip --disable-pip-version-check
SOURCES := pyproject.toml $(wildcard constraints/*.txt)

.PHONY: help venv demo test test-laws test-versions test-slow test-ray test-browser bench-smoke package lowest audit lint docs clean
.DELETE_ON_ERROR:
# The stamps are reached through pattern rules only; make would delete them as intermediates.
.SECONDARY:

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 20

venv: $(VENV)/.installed-dev  ## everything a contributor needs, in one environment
	@echo "ready: $(BIN)/python"

demo: $(VENV)/.installed  ## cluster real cells that come with scanpy; downloads no data
	$(BIN)/mixvi demo

test: $(VENV)/.installed-test  ## the tests of every day
	$(BIN)/python -m pytest -n 2 -m "not slow and not browser" $(ARGS)

test-laws: $(VENV)/.installed-test  ## identities, oracles and contracts only
	$(BIN)/python -m pytest -n 2 -m "(law or contract) and not slow" $(ARGS)

test-versions: $(VENV)/.installed-test  ## what may differ between versions of the libraries: no laws, no benchmarks
	$(BIN)/python -m pytest -n 2 -m "not law and not slow and not browser" --ignore tests/benchmarks $(ARGS)

test-slow: $(VENV)/.installed-test  ## the tests that take minutes
	$(BIN)/python -m pytest -n 2 --maxschedchunk 1 -m slow $(ARGS)

test-ray: $(VENV)/.installed-test $(VENV)/.installed-ray  ## several workers by Ray, and scvi.autotune
	$(BIN)/python -m pytest tests/train/test_ray.py $(ARGS)

test-browser: $(VENV)/.installed-test $(VENV)/.installed-browser  ## the report in chromium (AXE_CORE=axe.min.js: also its accessibility)
	$(BIN)/python -m pytest -m browser $(ARGS)

bench-smoke: $(VENV)/.installed  ## the speed benchmark once, on few cells: fails if likelihoods differ
	$(BIN)/python -m benchmarks.speed --smoke --redo -o $(VENV)/speed.json

package: $(VENV)/.installed  ## sdist and wheel; the wheel alone, in an empty environment, clusters cells
	rm -rf dist $(VENV)-empty
	$(BIN)/python -m venv $(VENV)-empty
	$(VENV)-empty/bin/python -m pip install --quiet hatchling
	$(VENV)-empty/bin/python -m hatchling build -d dist
	$(VENV)-empty/bin/python -m pip uninstall --quiet --yes hatchling
	$(VENV)-empty/bin/python -m pip install --quiet -c $(PINS) dist/*.whl
	cd dist && ../$(VENV)-empty/bin/python -c "import mixvi; print('mixvi', mixvi.__version__, mixvi.__file__)"
	cd dist && ../$(VENV)-empty/bin/mixvi --help >/dev/null

lowest: $(VENV)/.installed  ## the oldest versions that pyproject.toml allows: resolved, installed, contracts (PYTHON=python3.11)
	$(BIN)/python -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet uv
	$(VENV)-lowest/bin/uv pip install --python $(VENV)-lowest/bin/python --resolution lowest-direct -e .
	$(VENV)-lowest/bin/uv pip install --python $(VENV)-lowest/bin/python --group test
	$(VENV)-lowest/bin/python -m pytest -n 2 -W default -m contract tests/model/test_contract.py $(ARGS)

audit: $(VENV)/.installed  ## known weaknesses of what is installed; asks a service on the network
	$(BIN)/python -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet pip-audit
	$(VENV)-audit/bin/pip-audit --skip-editable --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

lint: $(VENV)/.installed-lint  ## ruff, mypy, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.installed-docs  ## the pages, in docs/_build/html (INTERSPHINX=1 links to other projects)
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

clean:  ## remove the environments and everything built
	rm -rf .venv* docs/_build docs/_generated docs/api/generated build dist
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(VENV)/.installed: $(SOURCES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'mixvi: expected Python 3.11 or later, found "$(PYTHON)": '"$$($(PYTHON) --version 2>&1 | tail -n 1)"; \
		echo 'Install a newer Python and name it, for example: make PYTHON=python3.12 $(MAKECMDGOALS)'; exit 1; } >&2
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade "pip>=25.1"
	$(PIP) install -c $(PINS) -e .
	@touch $@

# One stamp per dependency group of pyproject.toml.
$(VENV)/.installed-%: $(VENV)/.installed
	@echo "installing the $* tools into $(VENV)"
	$(PIP) install --quiet -c $(PINS) --group $*
	@touch $@
