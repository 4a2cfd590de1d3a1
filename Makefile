# `make run` runs the whole system, `make test` the whole test suite, on a machine
# with nothing but Python (3.11 or newer) and make. Each target sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export UV_PYTHON_DOWNLOADS := never

.PHONY: run test demo check lint types format chaos bench-engine clean help

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: $(VENV)/.run-installed ## Run the whole system at http://127.0.0.1:$${PORT:-8000}
	@exec $(BIN)/python -m runtime run

demo: $(VENV)/.run-installed ## Send three applications through a throw-away system
	@exec $(BIN)/python -m runtime demo

test: $(VENV)/.dev-installed ## Run the test suite (ARGS="-k outbox" to choose)
	@exec $(BIN)/python -m runtime test $(ARGS)

check: lint types ## Lint, types, import rules, migrations, OpenAPI
	$(BIN)/python -m runtime check

lint: $(VENV)/.dev-installed ## Style and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

# mypy's Django plugin imports the settings; it connects to nothing.
types: export SECRET_KEY := mypy
types: export DATABASE_URL := postgres://127.0.0.1/mypy
types: export REDIS_URL := redis://127.0.0.1
types: $(VENV)/.dev-installed ## Types
	$(BIN)/mypy .

format: $(VENV)/.dev-installed ## Format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

chaos: $(VENV)/.dev-installed ## Break a running system and see what holds (SEEDS="1 2 3")
	@exec $(BIN)/python -m tests.chaos $(SEEDS)

bench-engine: $(VENV)/.bench-installed ## Measure the engine beside two others (ARGS=--quick: a small run)
	@exec $(BIN)/python -m benchmarks.engine $(ARGS)

clean: ## Remove the virtual environment; the data in .state stays
	rm -rf $(VENV)

$(BIN)/uv:
	@echo "Making $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sluice needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9

$(VENV)/.run-installed: requirements.txt | $(BIN)/uv
	@echo "Installing requirements.txt ..."
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.txt
	@touch $@

$(VENV)/.dev-installed: requirements-dev.txt requirements.txt $(VENV)/.run-installed
	@echo "Installing requirements-dev.txt ..."
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements-dev.txt
	@touch $@

$(VENV)/.bench-installed: requirements-bench.txt requirements.txt $(VENV)/.run-installed
	@echo "Installing requirements-bench.txt ..."
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements-bench.txt
	@touch $@
