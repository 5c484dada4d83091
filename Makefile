# Delivery Monitor. Needs only Python >= 3.11, make and pip: everything else is installed into .venv,
# pinned and hash-checked, and only again when a lock file changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
AUDIT_VENV := .venv-audit
AUDIT_BIN := $(AUDIT_VENV)/bin
AUDIT := $(AUDIT_VENV)/.installed

# The lock files name versions and hashes; where packages come from is the business of each machine.
LOCK := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header \
	--no-annotate --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
	$(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run demo test soak crash durability sim nightly check check-format check-lint check-types check-floors check-shape \
	format lock audit audit-code audit-packages sbom dist clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUNTIME) ## serve on embedded defaults, http://127.0.0.1:8080
	$(BIN)/delivery-monitor serve

demo: $(RUNTIME) ## a synthetic shop, an outage, an alert, a switch, a rescue; all on loopback
	$(BIN)/delivery-monitor demo

# Worksteal: each process begins with whole files in a row, so what a file sets up once is set up once.
test: $(DEV) ## every test
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal --durations=25

KILLS ?= 200
soak: $(DEV) ## 200 kill -9 under load, about ten minutes; KILLS=1000 is the promise
	DELIVERY_MONITOR_RECORD=1 DELIVERY_MONITOR_KILLS=$(KILLS) \
		$(BIN)/python -m pytest -s -n 0 tests/e2e/test_kill9.py

ORDERS ?= 10000
CRASHES ?= 500
crash: $(DEV) ## 10,000 stuck orders, 500 kill -9 at named points, every planted bug; half an hour
	DELIVERY_MONITOR_RECORD=1 DELIVERY_MONITOR_ORDERS=$(ORDERS) DELIVERY_MONITOR_KILLS=$(CRASHES) \
		DELIVERY_MONITOR_MUTANTS=all $(BIN)/python -m pytest -s -n 0 tests/crash

durability: $(DEV) ## 100,000 power cuts, a fault at every syscall, damage at every place; an hour
	DELIVERY_MONITOR_RECORD=1 DELIVERY_MONITOR_IMAGES=100000 DELIVERY_MONITOR_RESTARTS=5000 \
		DELIVERY_MONITOR_FAULTS=all DELIVERY_MONITOR_DAMAGES=all DELIVERY_MONITOR_STOPPED_S=60 \
		$(BIN)/python -m pytest -s -n 0 tests/durability

HOURS ?= 60
SEED ?= 1
sim: $(DEV) ## 60 virtual hours of the whole service in bad weather, a minute; HOURS=10000 SEED=1 SIM=--mutants
	$(BIN)/python -m benchmarks.simulate --hours $(HOURS) --seed $(SEED) --jobs 2 $(SIM)

# Everything that shows a promise, at full size; each part keeps its figure and the page is made of
# them. How long the parts take: docs/testing.md.
nightly: $(DEV) ## every promise at full size, a night; writes docs/promises.md
	$(MAKE) sim HOURS=10000 SIM=--mutants
	$(MAKE) durability
	$(MAKE) soak KILLS=1000
	$(MAKE) crash
	$(BIN)/python -m benchmarks.fuzz --record
	$(BIN)/python -m benchmarks.same_trace --record
	$(BIN)/python -m benchmarks.restarts --record
	$(BIN)/python -m benchmarks.flapping --record
	$(BIN)/python -m benchmarks.starts --record
	$(BIN)/python -m benchmarks.black_holes --record
	$(BIN)/python -m benchmarks.slow_clients --record
	$(BIN)/python -m benchmarks.overload --record
	$(BIN)/python -m benchmarks.forgery --record
	$(BIN)/python -m benchmarks.secret_timing
	$(BIN)/python -m benchmarks.egress --record
	$(BIN)/python -m benchmarks.receivers --record
	$(BIN)/python -m benchmarks.canaries --record
	DELIVERY_MONITOR_TEMPLATES=1000000 $(BIN)/python -m pytest -n 0 tests/security/test_templates.py
	$(BIN)/python -m benchmarks.promises

check: check-format check-lint check-types check-floors check-shape ## format, lint, types, floors, shape

check-format: $(DEV)
	$(BIN)/ruff format --check .

check-lint: $(DEV)
	$(BIN)/ruff check .

check-types: $(DEV)
	$(BIN)/mypy

check-floors: $(DEV)
	$(BIN)/lint-imports

check-shape: $(DEV)
	$(BIN)/python -m pytest -q tests/test_shape.py

format: $(DEV) ## rewrite the code in the project's format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

# The target appears with its programme.
ifneq ($(wildcard benchmarks/run.py),)
.PHONY: bench
bench: $(DEV) ## every target of speed and of statistics, measured on this machine; BENCH="--only NAME"
	$(BIN)/python -m benchmarks.run $(BENCH)
endif

lock: $(DEV) ## write the lock files again (UPGRADE=1 takes newer versions)
	$(LOCK) --output-file requirements.lock pyproject.toml
	$(LOCK) --extra build --constraint requirements.lock --output-file requirements-build.lock \
		pyproject.toml
	$(LOCK) --extra build --extra dev --constraint requirements-build.lock \
		--output-file requirements-dev.lock pyproject.toml
	$(LOCK) --output-file requirements-audit.lock requirements-audit.in

audit: audit-code audit-packages sbom ## risky code (bandit), known holes in the lock (pip-audit), SBOM

audit-code: $(AUDIT)
	$(AUDIT_BIN)/bandit --quiet --recursive --configfile pyproject.toml monitor

# Asks an advisory service on the internet; without one it fails and says so.
audit-packages: $(AUDIT)
	$(AUDIT_BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock

sbom: $(AUDIT) ## dist/sbom.cdx.json: every part of an installation with version, hash and licence
	@mkdir -p dist
	$(AUDIT_BIN)/cyclonedx-py requirements --output-reproducible --validate \
		--pyproject pyproject.toml --output-file dist/sbom.cdx.json requirements.lock

dist: $(DEV) ## build the wheel and the source archive into dist/
	$(BIN)/python -m build --no-isolation

clean: ## remove what the other targets made, except data/
	rm -rf $(VENV) $(AUDIT_VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python >= 3.11 is needed, $(PYTHON) is older; try make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv --without-pip $(VENV)

$(RUNTIME): requirements-build.lock pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes --requirement requirements-build.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes --requirement requirements-dev.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $(RUNTIME) $@

$(AUDIT): requirements-audit.lock
	$(PYTHON) -m venv --without-pip $(AUDIT_VENV)
	$(PYTHON) -m pip --python $(AUDIT_BIN)/python --disable-pip-version-check install --quiet \
		--require-hashes --requirement requirements-audit.lock
	@touch $@
