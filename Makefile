# The verbs of this repository. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NPM := tests/interop/npm
PEERS := $(VENV)/.interop $(NPM)/node_modules/.package-lock.json
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
TESTS ?= tests
CORED := rrsd/core/*,rrsd/roles/*/rules.py,rrsd/roles/*/flow.py,rrsd/roles/*/flow/*,rrsd/roles/rra/breakers.py,rrsd/roles/rra/contradictions.py,rrsd/roles/rra/damage.py,rrsd/roles/rra/deadlines.py,rrsd/roles/rra/explain.py,rrsd/roles/rra/fairness.py,rrsd/roles/rra/house.py,rrsd/roles/rra/letters.py,rrsd/roles/rra/mending.py,rrsd/roles/rra/outbox.py,rrsd/roles/rra/pace.py,rrsd/roles/rra/room.py,rrsd/roles/rra/rulings.py,rrsd/roles/rra/slots.py,rrsd/roles/rra/standing.py,rrsd/roles/rra/telling.py,rrsd/roles/rra/verbs.py
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help dev peers lint format types contracts test secrets cover demo demo-mail mail crash simulate bench docs diagrams reference config clean check interop news package

help: ## Say what each verb does
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

dev: $(STAMP) ## Make .venv with rrsd and its tools in it (quick when it is there already)

$(STAMP): setup.cfg pyproject.toml
	@python=; for p in $(PYTHON) python3.11 python3 python3.12 python3.13 python3.14; do \
	    if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$p; break; fi; done; \
	if [ -z "$$python" ]; then \
	    echo "rrsd needs Python 3.11 or newer: none found as python3.11 or python3. Install one, or say make PYTHON=/path/to/python" >&2; \
	    exit 1; fi; \
	if ! $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    echo "making $(VENV) with $$($$python -V)"; \
	    $$python -m venv --clear $(VENV) || { \
	        echo "$$python cannot make a virtual environment: install its venv module (Debian: apt install python3-venv)" >&2; exit 1; }; fi
	@echo "installing rrsd and its tools into $(VENV)"
	@$(BIN)/python -m pip install --quiet --editable '.[dev]' --config-settings editable_mode=compat
	@touch $@

lint: dev ## Style: ruff check and ruff format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: dev ## Let ruff put style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: dev ## Types: mypy, strict
	$(BIN)/mypy

contracts: dev ## Imports: who may know whom (import-linter)
	$(BIN)/lint-imports

test: dev ## All tests (TESTS=tests.core for some)
	$(BIN)/python -m twisted.trial -j$(CORES) $(TESTS)
	@$(MAKE) --no-print-directory secrets

secrets: dev ## Nothing secret stands in any log that the last tests, or a demo in demo-data, have written
	$(BIN)/python -m tests.secrets $(wildcard _trial_temp*) $(wildcard demo-data)

cover: dev ## Lines and branches of core, rules and flow: 100 % or fail
	$(BIN)/coverage erase
	$(BIN)/coverage run -m twisted.trial -j2 --reporter=text tests.core tests.roles tests.internet
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='$(CORED)' --fail-under=100

interop: $(PEERS) ## Strangers against rrsd: OAuth, JOSE, HTTP and DNS software in pinned versions (INTEROP=exchange for some)
	$(BIN)/python -m tests.interop $(INTEROP)

peers: $(PEERS)

$(VENV)/.interop: $(STAMP)
	@$(BIN)/python -m pip install --quiet --editable '.[interop]' --config-settings editable_mode=compat
	@touch $@

$(NPM)/node_modules/.package-lock.json: $(NPM)/package.json $(NPM)/package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: apt install nodejs npm" >&2; exit 1; }
	@cd $(NPM) && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

mail: dev ## Real mail servers with rrsd between them, as root (MAIL=passage for some, RRSD_MAIL_SIZE=200MiB)
	$(BIN)/python -m tests.mail $(MAIL)

crash: dev ## The store's promises after a crash at every call (KILLS=1000 kills real processes; CRASH=--help)
	$(BIN)/python -m tests.crash $(if $(KILLS),--kills $(KILLS)) $(CRASH)

simulate: dev ## Whole domains through fault plans that follow from seeds (SEEDS=100000; SEED=17 replays one; SIMULATE=--help)
	$(BIN)/python -m tests.simulate $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SEED),--seed $(SEED)) $(SIMULATE)

demo: dev ## Two domains on this machine, one large message, one crash, nothing lost (DEMO_SIZE, DEMO_KEEP=1)
	$(BIN)/rrsctl demo
	@$(BIN)/python -m tests.maildemo --if-installed

demo-mail: dev ## The same by mail: real mail servers, a mail program at the end; as root (DEMO_SIZE, DEMO_DIR, DEMO_KEEP=1)
	@$(BIN)/python -m tests.maildemo

bench: dev ## Measure: beside the reference puller, then the queue (BENCH="--quick" the first alone, with these words)
	$(BIN)/python -m bench $(BENCH)
	$(if $(BENCH),,$(BIN)/python -m bench.queue)

docs: dev ## Render docs/ to build/docs; any warning fails
	$(BIN)/python docs/build.py

diagrams: dev ## Draw docs/diagrams again from their tables
	@for each in docs/diagrams/*.py; do $(BIN)/python $$each || exit 1; done

reference: dev ## Write conf/rrsd.ini again from the rooms' settings
	$(BIN)/python -m rrsd.config.reference > conf/rrsd.ini.new && mv conf/rrsd.ini.new conf/rrsd.ini

config: dev ## Check conf/rrsd.ini and the systemd files
	$(BIN)/python -m twisted.trial tests.config

check: lint types contracts docs cover test ## Everything a change must pass

news: dev ## Show what the next changelog says
	$(BIN)/towncrier build --draft --version next

package: dev ## Build the wheel, install it in a clean environment, start twistd with it
	rm -rf build/package && mkdir -p build/package
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/package .
	$(BIN)/python -m venv build/package/venv
	build/package/venv/bin/python -m pip install --quiet build/package/*.whl
	cd build/package && venv/bin/twistd rrsd --help >/dev/null && venv/bin/rrsctl --help >/dev/null
	@ls build/package/*.whl

clean: ## Remove what was made here, .venv excepted
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis _trial_temp* .coverage* htmlcov demo-data bench-data
	find rrsd tests twisted -name __pycache__ -type d -prune -exec rm -rf {} +
