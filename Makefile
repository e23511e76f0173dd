# Everything a developer does. `make` alone prints what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

# The first interpreter that is new enough; override with `make PYTHON=/path/to/python`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALLED := .venv/.installed
DEVELOPING := .venv/.developing

.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(INSTALLED) ## Start the dashboard with sample data; prints its address and sign-in
	@$(BIN)/cleanstart demo

.PHONY: demo-clean
demo-clean: ## Forget the demo's databases and settings
	@if [ -x $(BIN)/cleanstart ]; then $(BIN)/cleanstart demo --clean; else rm -rf .cleanstart; fi

.PHONY: install
install: $(INSTALLED) ## Set everything up; gives .venv/bin/cleanstart

.PHONY: test
test: $(DEVELOPING) ## Run the whole suite: real PostgreSQL, real workers, a real browser
	$(BIN)/pytest -n $${TEST_PROCESSES:-3} --dist loadgroup $(ARGS)

.PHONY: check
check: $(DEVELOPING) ## Lint, types, layers, templates: what CI runs beside the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/djlint templates --lint --quiet

.PHONY: format
format: $(DEVELOPING) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(DEVELOPING) ## Print performance ratios against peers measured in the same run
	$(BIN)/python -m bench $(ARGS)

.PHONY: dev
dev: $(DEVELOPING) ## The demo, restarted when a file changes
	@$(BIN)/watchfiles --filter python '$(BIN)/cleanstart demo' web templates static

.PHONY: lock
lock: $(DEVELOPING) ## Pin all dependencies anew, with hashes and without addresses
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile -q --upgrade --universal --generate-hashes \
		--no-emit-index-url --all-extras --group build pyproject.toml -o requirements.lock
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile -q --upgrade --universal --generate-hashes \
		--no-emit-index-url --all-extras --group build --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Clean Start needs Python 3.11 or later; none was found. Try make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Creating .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv

$(INSTALLED): .venv/bin/python requirements.lock pyproject.toml
	@echo "Installing from requirements.lock"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEVELOPING): $(INSTALLED) requirements-dev.lock tests/install_postgresql.py tests/install_browser.py
	@echo "Installing what the tests need"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(BIN)/python tests/install_postgresql.py
	@$(BIN)/python tests/install_browser.py
	@touch $@

.PHONY: screenshots
screenshots: $(DEVELOPING) ## Take the README's pictures anew, by the browser tests
	CLEANSTART_SCREENSHOTS=docs/screenshots $(BIN)/pytest -q -n0 tests/journeys
