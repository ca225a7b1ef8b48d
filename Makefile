# Every command one needs, each with its own set-up. `make` alone prints them.
#
# Set-up happens once and again only when its inputs change: a stamp in .venv stands for each of
# its three steps. What runs is the wheel, never src/: a file missing from the wheel fails here
# and not at a user's. Written for GNU make 3.81 and later (macOS still ships that one).

PYTHON ?= python3
# One more than the cores of the smallest machine the time budget in tests/README.md is made for:
# some tests mostly wait for other processes.
WORKERS ?= 3
# More words for the command behind a target, e.g. `make test ARGS='-k fence'`.
ARGS ?=
# The release that `make changelog` writes the notes of.
VERSION ?=
# Where `make chaos` writes what clients were told, and what was there at the end.
HISTORY ?= build/chaos.jsonl

VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check --no-input --quiet
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header $(if $(UPGRADE),--upgrade) pyproject.toml
# Folders too: their time changes when a file is removed or renamed.
SOURCES := $(shell find src \( -name __pycache__ -prune \) -o -print)

# The wheel is what is tested; a path from the caller's shell would put something else first.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test check format serve simulate chaos chaos-check bench scale dist \
	image docs changes changelog lock old-sqlite clients browser screenshots \
	clean

help: ## Print this list.
	@echo 'Usage: make TARGET   (needs Python 3.11 or newer; PYTHON=... names another)'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile

install: $(VENV)/.wheel ## Make .venv and install the built wheel in it.

demo: $(VENV)/.wheel ## See replies lost and every launch happen once.
	@$(VENV)/bin/sametoken demo $(ARGS)

test: $(VENV)/.dev $(VENV)/.wheel ## Run every test against the built wheel.
	@$(RUN) -m pytest -n $(WORKERS) --dist worksteal --durations 15 --durations-min 1 $(ARGS)

check: $(VENV)/.dev $(VENV)/.wheel ## Check format, lint, types and the rules of the house.
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(RUN) -m pytest --quiet tests/test_tidy.py

format: $(VENV)/.dev ## Write the format, and the lint fixes that are safe.
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

serve: $(VENV)/.wheel ## Serve the EC2 API on this machine (ARGS='--port 4590').
	@$(VENV)/bin/sametoken serve $(ARGS)

simulate: $(VENV)/.dev $(VENV)/.wheel ## Run 1,000 schedules; SEED=7 replays one, event by event.
	@cd tests && ../$(RUN) -m simulation $(if $(SEED),--seeds $(SEED) --trace) $(ARGS)

chaos: $(VENV)/.dev $(VENV)/.wheel ## Kill, stop, cut and fail over for five minutes under load.
	@cd tests && ../$(RUN) -m chaos run --history '$(abspath $(HISTORY))' $(ARGS)

chaos-check: $(VENV)/.dev $(VENV)/.wheel ## Judge the history of a chaos run again (HISTORY=...).
	@cd tests && ../$(RUN) -m chaos check '$(abspath $(HISTORY))'

bench: $(VENV)/.dev $(VENV)/.wheel $(VENV)/.peers ## Measure speed beside floors and peers; judge it.
	@$(RUN) benchmarks/bench.py $(ARGS)

scale: $(VENV)/.dev $(VENV)/.wheel ## Count and simulate what docs/scale.md tells.
	@$(RUN) benchmarks/scale.py $(ARGS)

dist: $(VENV)/.demo ## Build wheel and sdist in dist/, and try both in fresh environments.
	@rm -rf dist
	@$(RUN) -m hatchling build --target sdist --target wheel --directory dist
	@$(RUN) deploy/try_dist.py dist $(ARGS)

image: $(VENV)/.demo ## Build the image from a bare Debian, and try it (needs root and buildah).
	@$(RUN) deploy/try_image.py

docs: $(VENV)/.wheel ## Write the pages that are made from the code.
	@$(RUN) docs/generate.py

changes: $(VENV)/.dev ## Show what the next release will say is new.
	@$(RUN) -m towncrier build --draft --version next

changelog: $(VENV)/.dev ## Move the notes in changes/ to CHANGELOG.md (VERSION=0.2.0).
	@[ -n '$(VERSION)' ] || { echo 'Name the release: make changelog VERSION=0.2.0'; exit 1; }
	$(RUN) -m towncrier build --yes --version '$(VERSION)'

lock: $(VENV)/.lock ## Pin what pyproject.toml asks for (UPGRADE=1: the newest of each).
	$(VENV)/lock/bin/$(COMPILE) --extra server --extra postgresql --extra otel --group dev \
		--output-file requirements/dev.txt
	$(VENV)/lock/bin/$(COMPILE) --extra server --group demo --constraint requirements/dev.txt \
		--output-file requirements/demo.txt
	$(VENV)/lock/bin/$(COMPILE) --extra server --extra postgresql \
		--constraint requirements/dev.txt --output-file requirements/server.txt
	$(VENV)/lock/bin/$(subst pyproject.toml,--group bench,$(COMPILE)) \
		--output-file requirements/bench.txt
	$(VENV)/lock/bin/$(subst pyproject.toml,--group clients,$(COMPILE)) \
		--output-file requirements/clients.txt
	$(VENV)/lock/bin/$(subst pyproject.toml,--group browser,$(COMPILE)) \
		--constraint requirements/dev.txt --output-file requirements/browser.txt
	$(VENV)/lock/bin/$(subst pyproject.toml,--group lock,$(COMPILE)) \
		--output-file requirements/lock.txt

# The test that uses it checks its hash. It runs no script of the package's.
old-sqlite: ## Fetch an old SQLite, with which `make test` parses all SQL (needs npm and Node).
	@npm install --silent --no-save --no-package-lock --ignore-scripts --no-audit --no-fund \
		--prefix build/old-sqlite sql.js@1.6.2

# Half a gigabyte, which only the tests of these pages need. It runs no script of npm's packages.
clients: $(VENV)/.clients ## Install clients of PyPI and npm, with which docs/clients is run.
	@! command -v npm > /dev/null || npm install --silent --no-save --no-package-lock \
		--ignore-scripts --no-audit --no-fund --prefix build/clients @aws-sdk/client-ec2@3.1169.0

# Chromium itself comes from the system. The tests check axe's hash; no script of npm's is run.
browser: $(VENV)/.browser ## Install what drives Chromium through the console (needs Chromium).
	@! command -v npm > /dev/null || npm install --silent --no-save --no-package-lock \
		--ignore-scripts --no-audit --no-fund --prefix build/axe axe-core@4.14.1

screenshots: browser $(VENV)/.wheel ## Take the pictures of docs/console.md anew.
	@mkdir -p build/screenshots
	@SAMETOKEN_SCREENSHOTS='$(abspath build/screenshots)' $(RUN) -m pytest --quiet \
		tests/console/test_journeys.py $(ARGS)
	@for one in docs/console/*.png; do cp "build/screenshots/$${one##*/}" "$$one"; done

clean: ## Remove all that make made.
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.wheel: $(SOURCES) pyproject.toml README.md LICENSE $(VENV)/.demo
	@echo 'building the wheel'
	@rm -rf build/wheel && mkdir -p build
	@$(RUN) -m hatchling build --target wheel --directory build/wheel > build/wheel.log 2>&1 \
		|| { cat build/wheel.log; rm -f build/wheel.log; exit 1; }
	@rm -f build/wheel.log
	@$(PIP) install --no-index --no-deps --force-reinstall build/wheel/*.whl
	@touch $@

# After .demo, because two installers must not write one environment at the same time.
$(VENV)/.dev: requirements/dev.txt $(VENV)/.demo
	@echo 'installing what tests and checks need (requirements/dev.txt)'
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.demo: requirements/demo.txt | $(VENV)/.made
	@echo 'installing what server and demo need (requirements/demo.txt)'
	@$(PIP) install --require-hashes -r requirements/demo.txt
	@touch $@

# An environment of its own: the peers pin what they share with us otherwise.
$(VENV)/.peers: requirements/bench.txt | $(VENV)/.made
	@echo 'installing what benchmarks compare with (requirements/bench.txt)'
	@$(PYTHON) -m venv $(VENV)/peers
	@$(VENV)/peers/bin/python -m pip --disable-pip-version-check --no-input --quiet \
		install --require-hashes -r requirements/bench.txt
	@touch $@

# An environment of its own: clients pin what they share with us otherwise.
$(VENV)/.clients: requirements/clients.txt | $(VENV)/.made
	@echo 'installing clients whose pages are run (requirements/clients.txt)'
	@$(PYTHON) -m venv $(VENV)/clients
	@$(VENV)/clients/bin/python -m pip --disable-pip-version-check --no-input --quiet \
		install --require-hashes -r requirements/clients.txt
	@touch $@

# In the environment of the tests, which import it: its lock agrees with theirs.
$(VENV)/.browser: requirements/browser.txt $(VENV)/.dev
	@echo 'installing what drives a browser (requirements/browser.txt)'
	@$(PIP) install --require-hashes -r requirements/browser.txt
	@touch $@

# An environment of its own inside .venv: the locking tool is not part of what it locks.
$(VENV)/.lock: requirements/lock.txt | $(VENV)/.made
	@$(PYTHON) -m venv $(VENV)/lock
	@$(VENV)/lock/bin/python -m pip --disable-pip-version-check --no-input --quiet \
		install --require-hashes -r requirements/lock.txt
	@touch $@

$(VENV)/.made:
	@command -v $(PYTHON) > /dev/null || { \
		echo '$(PYTHON) is not here. Install Python 3.11 or newer, or name one:' \
			'make PYTHON=/path/to/python3'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$$($(PYTHON) -V 2>&1) is too old: Python 3.11 or newer is needed." \
			'Name one: make PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, sqlite3, ssl, venv' || { \
		echo '$(PYTHON) lacks the module named above. On Debian and Ubuntu: install' \
			'python3-venv; a Python of your own needs the headers of SQLite and OpenSSL.'; \
		exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@
