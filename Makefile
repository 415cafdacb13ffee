# Every target makes what it needs, in .venv, and nothing outside this folder.
# The stamps say which of the extras .venv already holds.

PYTHON ?= python3
PORT ?= 8000
ARGS ?=
ROUNDS ?= 50

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test soak conformance lint format types docs bench bench-scale clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "PYTHON=python3.12 chooses the interpreter for a new .venv, PORT=8001 the"
	@echo "port of the demo, ARGS='-k limit' goes to pytest, mypy or the benchmarks,"
	@echo "ROUNDS=5 says how often to soak."

demo: $(VENV)/stamp-demo $(VENV)/stamp-mariadb ## Start the example site on http://localhost:8000/
	@PORT=$(PORT) $(BIN)/python example_project/manage.py demo $(ARGS)

test: $(VENV)/stamp-dev $(VENV)/stamp-mariadb ## Run the tests on every database found
	@$(BIN)/python -m tests.run $(ARGS)

soak: $(VENV)/stamp-dev $(VENV)/stamp-mariadb ## Run the races and faults 50 times in a row
	@$(BIN)/python -m tests.run --repeat $(ROUNDS) $(ARGS) tests/concurrency tests/faults \
	  tests/contract/test_redis_topologies.py

conformance: $(VENV)/stamp-dev ## Run Django's own auth and client tests on our engine
	@$(BIN)/python -m tests.django_suites.run $(ARGS)

lint: $(VENV)/stamp-dev ## Check format and style
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

format: $(VENV)/stamp-dev ## Put format and imports right
	@$(BIN)/ruff check --fix --select I .
	@$(BIN)/ruff format .

types: $(VENV)/stamp-dev ## Check the types, strictly
	@$(BIN)/mypy $(ARGS)

docs: $(VENV)/stamp-dev ## Build the documentation in docs/_build/html
	@$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/stamp-bench ## Compare our engines with others, on this machine
	@$(BIN)/python -m benchmarks.run $(ARGS)

bench-scale: $(VENV)/stamp-bench ## Study a table of ten million sessions
	@$(BIN)/python -m benchmarks.scale $(ARGS)

clean: ## Remove .venv, caches and what was built
	rm -rf $(VENV) .cache .tox build dist docs/_build *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Python 3.10 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/stamp-demo: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[demo]'
	@touch $@

$(VENV)/stamp-dev: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/stamp-demo

$(VENV)/stamp-bench: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[bench]'
	@touch $@

# mysqlclient has no wheel for Linux or macOS. Without the client library the
# build is bound to fail, so it isn't tried; tests/run.py says what that means.
$(VENV)/stamp-mariadb: setup.cfg | $(BIN)/python
	@if pkg-config --exists libmariadb || pkg-config --exists mysqlclient; then \
	  $(PIP) install --editable '.[mariadb]' && touch $@; \
	fi 2>/dev/null || true
