SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
AUDITOR := pip-audit==2.10.1
.DEFAULT_GOAL := help

.PHONY: help setup demo check test test-long e2e bench bench-training evidence faults-train faults-night fuzz-decode story docs lock audit clean

help: ## List every target
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) ## Prepare .venv from the lock file; does nothing when it is up to date

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' \
	  || { echo "tagger needs Python 3.11 or 3.12: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv \
	  || { rm -rf .venv; echo "No venv module: apt-get install python3-venv, then again."; exit 2; }
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes --no-deps \
	  -r <(sed -n '/^uv==/,/^    # via/p' requirements.lock)
	$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .
	@touch $(STAMP)

demo: setup ## Draw a catalogue, train both networks on it, tag a fresh part, print what came out
	$(BIN)/tagger demo --config configs/demo.yaml

check: setup ## Format, lint, types, unit and contract tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 tests/unit tests/contract

test: check ## All of check, then the short end-to-end tests
	$(BIN)/pytest tests/e2e

test-long: setup ## The tests that make test leaves out because they take minutes each
	$(BIN)/pytest -m long tests

e2e: setup ## End-to-end tests alone, on real servers and a real local Ray
	$(BIN)/pytest tests/e2e

bench: setup ## Benchmarks that need no photos; each prints one table
	$(BIN)/python -m benchmarks.tagging
	$(BIN)/python -m benchmarks.focus_grid

bench-training: setup ## What a training costs, part by part, against plain loops; and the arithmetic for larger catalogues
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.training_arithmetic

evidence: setup ## The tables of docs/focus.md and docs/robustness.md, from labelled photos: make evidence DATA=FOLDER
	@for study in masks focus_maps focus_flags robustness 'scope --work build/scope'; do $(BIN)/python -m benchmarks.$$study --data $(DATA) || exit 1; done

faults-train: setup ## Lose workers, the command, the disk and the store in a real training: the table of docs/training-faults.md
	$(BIN)/pytest -m long tests/e2e/test_training.py
	$(BIN)/python -m tests.e2e.training_faults

fuzz-decode: setup ## Decode damaged photos without end: make fuzz-decode MINUTES=60 SEED=1 [CORPUS=FOLDER]; goes on where it was
	$(BIN)/python -m tests.fuzz.decode --minutes $(or $(MINUTES),60) --seed $(or $(SEED),1) \
	  $(if $(CORPUS),--corpus $(CORPUS)) --work build/fuzz-$(or $(SEED),1)

faults-night: setup ## Kill, cut off and mislead real nights, some 150 of them, hours long: the table of docs/reliability.md
	$(BIN)/python -m tests.e2e.night_faults --work $(or $(WORK),build/faults-night)

story: setup ## White T-shirts on white, tagged off the background: what is caught, and what is flagged in vain
	$(BIN)/python -m tests.e2e.wrong_reason

docs: setup ## Generate the reference pages again
	$(BIN)/python -m tagger.tables.schema > docs/columns.md
	$(BIN)/python -m tagger.report.reference

lock: setup ## Resolve the lock file again from pyproject.toml
	$(BIN)/uv pip compile --universal -p 3.11 --generate-hashes --extra cpu --extra dev pyproject.toml \
	  -o requirements.lock -q

audit: setup ## Known vulnerabilities of the locked libraries, into build/audit.txt; needs PyPI, and fails nothing
	@mkdir -p build
	@{ timeout 60 $(BIN)/uv tool run --quiet $(AUDITOR) --strict --disable-pip --require-hashes --progress-spinner off \
	  -r requirements.lock || echo "audit: vulnerabilities, or PyPI's list of them was not reached; see above."; } \
	  > build/audit.txt 2>&1
	@tail -n 20 build/audit.txt

clean: ## Remove the environment and everything that was made
	rm -rf .venv demo build .mypy_cache .ruff_cache .pytest_cache
