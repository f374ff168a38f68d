# Everything a fresh machine needs is Python 3.11 or newer, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTOS := $(wildcard protos/gateway/v1/*.proto)
SANDBOX ?= .sandbox

.DEFAULT_GOAL := help
.PHONY: help setup run demo test check protos lock certs load bench clean

help: ## List the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.ok ## Build the virtual environment from the hash-locked requirements

$(VENV)/.run: requirements-run.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-run.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.ok: requirements.lock $(VENV)/.run
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

run: $(VENV)/.run ## Start the sandbox: gateway, folders, test persons; Ctrl-C stops it
	$(BIN)/onshi sandbox --dir $(SANDBOX)

demo: $(VENV)/.run ## One story from a job change to the moved claim, in a scratch folder
	$(BIN)/onshi demo

test: setup ## Run every test
	$(BIN)/python -m pytest -q -n auto --dist loadfile

check: setup ## Lint, types, import contracts, protos, generated code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf format -d --exit-code
	.ci/proto-breaking
	.ci/proto-generated

protos: setup ## Generate gateway/v1 from protos/
	.ci/proto-generate gateway/v1

lock: setup ## Resolve pyproject.toml into the two locks: all, and what running needs
	$(BIN)/uv pip compile --quiet pyproject.toml --group dev --generate-hashes --python-version 3.11 -o requirements.lock
	$(BIN)/uv pip compile --quiet pyproject.toml --group install --constraints requirements.lock --generate-hashes --python-version 3.11 -o requirements-run.lock

certs: $(VENV)/.run ## Issue a CA and one leaf per role into certs/issued
	$(BIN)/onshi certs issue --dir certs/issued

load: setup ## Three minutes of clinics, cards, folders and insurers; report in load-report/
	$(BIN)/python -m loadtests.load --minutes 3 --out load-report

bench: setup ## Lookup against a bare handler, side by side, in one run
	$(BIN)/python -m loadtests.lookup_ratio

clean: ## Remove what the verbs above made
	rm -rf $(VENV) $(SANDBOX) .pytest_cache .mypy_cache .ruff_cache .hypothesis certs/issued load-report
