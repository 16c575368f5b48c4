# `make demo` and `make test` need git, make and Python 3.11 or newer, and nothing else.

PYTHON ?= python3
# Two of the workers are for tests that wait most of their time; see tests/ordering.py.
PYTEST := -m pytest -n 4 --dist loadscope
QUICK := tests/pure tests/types tests/conformance/test_memory.py tests/conformance/test_local.py
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
GROUP ?= dev
BIN := $(VENV)/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUNBUFFERED := 1
# The tests start hundreds of interpreters, which need not compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo bench bench-http test test-quick coverage test-lowest test-letta test-mcp test-ui browser screenshots bench-ui test-pgbouncer lint format clean constraints

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-31s %s\n", $$1, $$2 }'

demo: $(VENV)/.installed  ## Run a guided tour: no server, no key, no network
	@$(BIN)/python examples/demo/run.py

test: lint  ## Check style and types, and run every test
	@$(BIN)/python $(PYTEST)

test-quick: lint  ## Check style and types, and run the tests that take a minute, on one embedded server
	@$(BIN)/python -m pytest -q -p no:schemathesis $(QUICK)

coverage: $(VENV)/.installed  ## Run every test, at half the speed, and check how much of the source they run
	@$(BIN)/coverage erase
	@$(BIN)/coverage run $(PYTEST)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report

lint: $(VENV)/.installed  ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/.installed  ## Repair style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

test-lowest:  ## Run every test on the oldest dependencies that pyproject.toml allows
	@$(MAKE) --no-print-directory VENV=.venv-lowest GROUP=checks CONSTRAINTS=constraints-lowest.txt .venv-lowest/.installed
	@.venv-lowest/bin/python $(PYTEST)

test-letta: $(VENV)/.installed  ## Install a real Letta server, and run the tests of its provider on it
	@$(BIN)/python -m tests.letta.real

test-mcp: $(VENV)/.installed  ## Run the official conformance suite and the Inspector of MCP, which need npm
	@$(BIN)/python -m tests.mcp_suites.real

test-frameworks: $(VENV)/.installed  ## Test the integrations, each framework in an environment of its own; FRAMEWORKS="langgraph"
	@$(BIN)/python -m tests.frameworks.run $(FRAMEWORKS)

test-frameworks-latest: $(VENV)/.installed  ## The same with the newest version of each framework
	@$(BIN)/python -m tests.frameworks.run --latest $(FRAMEWORKS)

browser: $(VENV)/.installed  ## Install what tests in a browser need: Chromium, by apt, and Playwright
	@$(BIN)/python -m tests.browser.run --install-only

test-ui: $(VENV)/.installed  ## Install a browser, and test the memory browser in it in every look; UI="-k flows"
	@$(BIN)/python -m tests.browser.run $(UI)

screenshots: $(VENV)/.installed  ## Make the pictures of the memory browser in docs/images anew
	@$(BIN)/python -m tests.browser.run --install-only
	@$(BIN)/python -m tests.browser.screenshots

bench-ui: $(VENV)/.installed  ## Measure the pages of the memory browser on a small and on a large store
	@$(BIN)/python -m tests.browser.run --install-only
	@$(BIN)/python -m benchmarks.pages --browser $(BENCH)

test-pgbouncer: $(VENV)/.installed  ## Test clients behind a real PgBouncer, which must be installed
	@PATH="$$PATH:/usr/sbin" command -v "$${PGBOUNCER:-pgbouncer}" >/dev/null || { \
		echo "PgBouncer is not installed; on Debian and Ubuntu: apt install pgbouncer," \
			"else PGBOUNCER=/path/to/pgbouncer" >&2; exit 1; }
	@OPENMEM_TEST_PGBOUNCER=1 $(BIN)/python $(PYTEST) tests/pgbouncer

bench:  ## Compare openmem with mem0, LangGraph and SQL written by hand; BENCH="--quick" for two minutes
	@$(MAKE) --no-print-directory VENV=.venv-bench GROUP=bench CONSTRAINTS=constraints-bench.txt .venv-bench/.installed
	@.venv-bench/bin/python -m benchmarks.compare $(BENCH)

bench-http: $(VENV)/.installed  ## Measure omp-server under load; BENCH="--soak 10" for ten minutes of it
	@$(BIN)/python -m benchmarks.server $(BENCH)

constraints: $(VENV)/.installed  ## Write the files with the versions of dependencies anew
	@$(BIN)/python tools/constraints.py constraints.txt
	@$(BIN)/python tools/constraints.py --lowest --group checks constraints-lowest.txt
	@$(BIN)/python tools/constraints.py --group bench constraints-bench.txt

clean:  ## Remove what the other targets made
	rm -rf .venv .venv-frameworks-* .venv-bench .venv-lowest .venv-letta .mcp-tools bench-results .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage* build dist
	find src tests examples tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "openmem needs Python 3.11 or newer, and $(PYTHON) is not: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version), once; it takes about a minute"
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python tools/install.py --upgrade pip --constraint $(CONSTRAINTS)
	@$(BIN)/python tools/install.py --group $(GROUP) --editable '.[all]' \
		--constraint $(CONSTRAINTS) --build-constraint $(CONSTRAINTS)
	@touch $@
