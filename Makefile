# `make` lists what there is. Needs python3 (3.11 or newer), make and a package index; everything else is installed below
# this folder, from locked and hashed lists.

# python3 as it is here, else as it is elsewhere: where pyenv has no 3.13, .python-version makes its python3 fail in this folder.
PYTHON ?= $(shell for folder in . /; do (cd $$folder && python3 -c 'import sys; \
  print(sys.executable) if sys.version_info >= (3, 11) else sys.exit(1)' 2>/dev/null) && break; done)
PORT ?= 5000
VENV := .venv
SAM := .venv-sam
BIN := $(VENV)/bin
SCAN := .venv-scan
CLIENTS := .build/clients
LISTS := layers/dependencies/requirements requirements/dev requirements/sam requirements/scan requirements/runtime requirements/clients
SHELL := /bin/bash
LOCK := $(BIN)/uv pip compile --quiet --no-header --universal --generate-hashes --no-emit-index-url --python-version 3.11

# The architecture to build for: this machine's, or ARCH=arm64, ARCH=x86_64.
ARCH ?= $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)
export ARCH
export SAM_CLI_TELEMETRY = 0
export AWS_DEFAULT_REGION ?= eu-central-1

LOCAL_STACK := PYTHONPATH=tools $(BIN)/python -m local_stack

# Processes among which the tests are spread: as many as there are cores, or WORKERS=... (0: none, in this one).
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help venv run serve build test unit integration test-clients test-system fuzz openapi format lint pr check bench \
  bench-fleet bench-rotation leak-scan deadlines salesforce-project lock lock-check clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-20s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/.installed $(SAM)/.installed ## Install the tools (into .venv and .venv-sam)

$(VENV)/.installed: requirements/dev.txt
	@echo 'Installing the tools into $(VENV) (a minute or two, once) ...'
	@test -n '$(PYTHON)' || { echo 'python3 3.11 or newer is needed; PYTHON=... names one' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(SAM)/.installed: requirements/sam.txt $(VENV)/.installed
	@echo 'Installing SAM CLI into $(SAM) (once) ...'
	@test -x $(SAM)/bin/python || $(BIN)/python -m venv $(SAM)
	@$(BIN)/uv pip install --quiet --python $(SAM)/bin/python --require-hashes -r requirements/sam.txt
	@touch $@

$(SCAN)/.installed: requirements/scan.txt $(VENV)/.installed
	@echo 'Installing the scanner into $(SCAN) (once) ...'
	@test -x $(SCAN)/bin/python || $(BIN)/python -m venv $(SCAN)
	@$(BIN)/uv pip install --quiet --python $(SCAN)/bin/python --require-hashes -r requirements/scan.txt
	@touch $@

run: venv ## Do the main job once, in the real Lambda runtime against a local Salesforce (BUILT=folder: of an earlier build)
	@$(LOCAL_STACK) run $(if $(BUILT),--built $(BUILT))

serve: venv ## Leave the same running on http://127.0.0.1:5000 (PORT=... another port)
	@$(LOCAL_STACK) serve --port $(PORT) $(if $(BUILT),--built $(BUILT))

build: venv ## Make what `sam deploy` deploys, for ARCH
	$(SAM)/bin/sam build --parameter-overrides Architecture=$(ARCH)
	@# The built template admits only what was built, so that a deployment for the other architecture fails at its start.
	@sed '/^  Architecture:/,/^  [A-Z]/{s/Default: .*/Default: $(ARCH)/;/^    - /{/$(ARCH)/!d;};}' .aws-sam/build/template.yaml \
	  >.aws-sam/build/template.tmp && mv .aws-sam/build/template.tmp .aws-sam/build/template.yaml

test: venv ## Run every test that needs neither Docker nor other packages, on all cores
	$(PYTEST)

unit: venv ## Run the unit tests
	$(PYTEST) tests/unit

integration: venv ## Run the tests against moto, the local Salesforce and the real Lambda runtime
	$(PYTEST) tests/integration

test-clients: venv $(CLIENTS)/.installed ## Try the local Salesforce with clients that nobody here wrote (installs them into .build)
	$(BIN)/python -m pytest tests/clients

$(CLIENTS)/.installed: requirements/clients.txt tests/clients/package.json layers/client/pyproject.toml $(shell find layers/client/salesforce_broker_client -name '*.py')
	@echo 'Installing clients into $(CLIENTS) (a minute or two, once) ...'
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(CLIENTS)/python
	@$(BIN)/uv pip install --quiet --python $(CLIENTS)/python/bin/python --require-hashes -r requirements/clients.txt
	@$(BIN)/uv pip install --quiet --python $(CLIENTS)/python/bin/python --no-deps ./layers/client
	@mkdir -p $(CLIENTS)/npm && cp tests/clients/package.json $(CLIENTS)/npm
	@PATH="$(CURDIR)/$(CLIENTS)/python/bin:$$PATH" npm install --prefix $(CLIENTS)/npm --silent \
	  --no-audit --no-fund --no-package-lock --ignore-scripts
	@touch $@

test-system: venv ## Try `sam local` in Docker; skipped where there is no Docker, or no base image for Lambda
	$(BIN)/python -m pytest tests/system

fuzz: venv ## Ask at random: 10,000 requests that docs/openapi.yaml knows or not, and 100,000 raw events (some ten minutes)
	FUZZ=long $(BIN)/python -m pytest tests/fuzz

openapi: venv ## Make docs/openapi.yaml of the code
	PYTHONPATH=tools:layers/broker $(BIN)/python tools/openapi.py

format: venv ## Format the Python code, and mend what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lint: venv ## Lint, formatting, types, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy layers/broker/salesforce_broker layers/client/salesforce_broker_client tools/local_salesforce tools/local_stack tools/openapi.py tools/word_check.py tools/salesforce_project.py tools/benchmarks/*.py tests
	$(BIN)/mypy functions/token_api/handler.py
	$(BIN)/mypy functions/token_invoke/handler.py
	$(BIN)/mypy examples/orders/src/handler.py
	$(BIN)/mypy functions/rotate_key/handler.py
	$(BIN)/mypy functions/emergency_stop/handler.py
	PYTHONPATH=layers/broker:layers/client:tools $(BIN)/lint-imports

pr: lint unit ## What to run before a pull request: lint, unit

check: venv $(SCAN)/.installed lock-check lint ## All that is checked without running it: lint, template (scanners too), locks
	PYTHONPATH=tools:layers/broker $(BIN)/python tools/openapi.py --check
	$(BIN)/python tools/word_check.py
	$(BIN)/cfn-lint examples/*/template.yaml
	$(SAM)/bin/sam validate --lint
	@mkdir -p .build
	PYTHONPATH=tools:layers/broker:. $(BIN)/python -m tests.template.deployed >.build/template.json
	$(BIN)/cfn-lint --config-file tests/template/cfnlint.yaml --template template.yaml .build/template.json
	$(SCAN)/bin/checkov --config-file tests/template/checkov.yaml --file template.yaml .build/template.json

bench: venv ## Measure cold start and warm hit beside what a user would write by hand
	PYTHONPATH=tools $(BIN)/python tools/benchmarks/lambda_runtime.py
	$(BIN)/python tools/benchmarks/client_import.py

bench-fleet: venv ## Simulate fleets: cold at once, and in steady use
	PYTHONPATH=tools:layers/broker:. $(BIN)/python -m benchmarks.fleet_report

bench-rotation: venv ## Change the key in nine ways, with 100,000 reads meanwhile: none may fail
	PYTHONPATH=tools:layers/broker:. $(BIN)/python -m benchmarks.rotation_report

leak-scan: venv ## Search every sink for every secret of a run: 2,000 requests with faults, all logs at DEBUG (REQUESTS=, SEED=)
	PYTHONPATH=tools:layers/broker:. $(BIN)/python -m leak_scan $(if $(REQUESTS),--requests $(REQUESTS)) $(if $(SEED),--seed $(SEED))

deadlines: venv ## Hang each dependency at each point of a request, in the Lambda runtime: all answer in time, audited
	PYTHONPATH=tools:layers/broker:. $(BIN)/python -m deadline_matrix

salesforce-project: venv ## Write the app as a project for the Salesforce CLI: STACK=... CONTACT=you@acme.example [APP=...]
	@test -n '$(STACK)' || { echo 'STACK=... names the deployed stack' >&2; exit 1; }
	@PYTHONPATH=tools:layers/broker $(BIN)/python tools/salesforce_project.py --stack '$(STACK)' --contact '$(CONTACT)' \
	  $(if $(APP),--app '$(APP)') $(if $(FOLDER),--folder '$(FOLDER)')

lock: venv ## Renew the locked lists (UPGRADE=--upgrade for newer versions)
	@$(foreach list,$(LISTS),$(LOCK) $(UPGRADE) $(list).in -o $(list).txt &&) true

# Recompiled with the present pins as preferences, so only a change of an .in file shows; hashes aside, because a wheel that
# is added to a pinned version changes nothing here.
lock-check: venv
	@mkdir -p .build
	@for list in $(LISTS); do \
	  cp $$list.txt .build/list.txt && $(LOCK) $$list.in -o .build/list.txt && \
	  { grep -v -e --hash $$list.txt | diff - <(grep -v -e --hash .build/list.txt) || \
	    { echo "$$list.txt is not what $$list.in says: run 'make lock'" >&2; exit 1; }; }; \
	done

clean: ## Remove everything that was made here
	rm -rf $(VENV) $(SAM) $(SCAN) .build .aws-sam .hypothesis .mypy_cache .ruff_cache .import_linter_cache .pytest_cache
