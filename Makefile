# wsipipe: make help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS := staintools,train,bench,spatial,test,dev
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help install demo test lint format wheelhouse install-offline image clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

install: $(STAMP)  ## .venv with everything from requirements.lock; quick the second time

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $$(command -v $(PYTHON) || command -v python3) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(STAMP)

demo: install  ## made slides (and real ones, where ../shared/data exists) through the gastric pipeline
	$(BIN)/wsipipe demo

test: install  ## the tests, with their coverage
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

lint: install  ## format, lint, types, imports, sizes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/lint/sizes.py

format: install  ## put the code in its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheelhouse: install  ## every wheel, for a machine without a network
	mkdir -p wheelhouse
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir wheelhouse -r requirements.lock
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheelhouse .
	cp requirements.lock wheelhouse/

install-offline:  ## .venv from wheelhouse/, without a network
	test -x $(BIN)/python || $$(command -v $(PYTHON) || command -v python3) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-index --find-links wheelhouse --no-deps -r requirements.lock wsipipe
	touch $(STAMP)

image:  ## container image
	docker build --tag wsipipe .

clean:  ## what builds and demos leave; not .venv
	rm -rf build dist demo-results *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
