# Ringback's few verbs; `make help` names them.
PYTHON ?= python3
VENV ?= .venv
# What to give the commands, for example: make run ARGS="--port 9000", make test ARGS="-k names".
ARGS ?=
# Test processes side by side; two pay even on a machine with two cores, as tests mostly wait.
JOBS ?= 2

BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test lint format docs bench clean

help: ## Say what each verb does
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

run: $(VENV)/.run ## Start Ringback here and print the address to open
	@exec $(BIN)/ringback serve $(ARGS)

# Tests drive browsers and media in real time. On few cores some are starved by their neighbours at
# times, so what failed is run once more by itself, and said: a fault of the code fails there too.
test: $(VENV)/.test browser ## Run every test, those in a browser too
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS); code=$$?; \
	[ $$code = 1 ] || exit $$code; \
	echo "What failed beside others is run once more, alone, up to the first that fails again."; \
	exec $(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 1 $(ARGS)

lint: $(VENV)/.lint node_modules/.lint ## Check style, types and browser code
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy ringback tests $(wildcard docs/*.py) $(wildcard bench/*.py)
	node_modules/.bin/tsc --project tsconfig.json

format: $(VENV)/.lint ## Put the Python code into its one format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.run ## Draw the tables of the documents anew from the code
	$(BIN)/python -m docs.draw

bench: $(VENV)/.test ## Measure what a message and a call cost
	$(BIN)/python -m bench $(ARGS)

clean: ## Remove what the other verbs made here (not data/)
	rm -rf $(VENV) node_modules build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

# --- what the verbs need; the stamps make a second run start at once ---------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Ringback needs Python 3.11 or newer; choose one with PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.test: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ $(VENV)/.run

$(VENV)/.lint: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.test $(VENV)/.run

node_modules/.lint: package.json package-lock.json
	@$(call need,npm,nodejs npm,make lint checks the browser code with node and npm)
	npm ci --silent --no-progress
	@touch $@

.PHONY: browser
browser:
	@$(call need,chromium,chromium,the tests drive Debian's chromium)
	@$(call need,firefox-esr,firefox-esr,the tests drive Debian's Firefox too)
	@$(call need,turnserver,coturn,the tests call through a relay)

# need(command, Debian packages, why): install what is missing where that is allowed.
define need
command -v $(1) >/dev/null && exit 0; \
if command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then \
  as=; [ "$$(id -u)" = 0 ] || as="sudo -n"; \
  { $$as apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$as apt-get install -qq -y \
    --no-install-recommends $(2) >/dev/null; } </dev/null && exit 0; \
fi; \
echo "Please install $(2): $(3)." >&2; exit 2
endef
