# wsipipe. `make help` lists the verbs.
#
# Needs Python 3.11 (with venv), make and git; on Debian no further system library: openslide-bin brings OpenSlide, and the
# headless OpenCV needs no libGL. Another interpreter: make install PYTHON=/path/to/python3.11

PYTHON ?= $(shell command -v python3.11 || command -v python3)
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCK := requirements.lock
WEIGHTS := build/weights

# Many small arrays on few cores: one thread per process is quicker, and sums come out the same everywhere.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export NUMEXPR_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help install demo weights weights-deblur weights-retina test torture lint format wheel wheelhouse install-offline image clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

install: $(STAMP)  ## .venv with everything from requirements.lock; quick the second time

# The lock is complete and installed without dependencies: what it names, nothing else. Byte code is made on all cores
# afterwards (pip uses one); a few templates in there are not Python, hence "or true".
$(STAMP): $(LOCK) pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --no-deps --no-compile --requirement $(LOCK)
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $(STAMP)

demo: install  ## made slides (and real ones, where ../shared/data exists) through the gastric pipeline
	$(BIN)/wsipipe demo

weights: install  ## the gastric weights that ship, trained anew and put in their place
	$(BIN)/wsipipe train gastric-tiles --out $(WEIGHTS)/tiles --set numbers.dtype=bfloat16 --install
	$(BIN)/wsipipe train gastric-slides --out $(WEIGHTS)/slides --install

weights-deblur: install  ## the deblurring weights, likewise; half an hour of one core, from ../shared/data
	$(BIN)/python tests/benchmarks/sharp.py build/sharp
	$(BIN)/wsipipe train deblur --config configs/deblur-train.yaml --out build/deblur --install

weights-retina: install  ## the retinal weights, likewise, in their three parts; three and a half hours of one core, from ../shared/data
	$(BIN)/wsipipe train retina --config configs/retina-train.yaml --out build/retina --set machine.threads=1
	$(BIN)/wsipipe train retina --config configs/retina-train-second.yaml --out build/retina2 --set machine.threads=1
	$(BIN)/wsipipe train retina --config configs/retina-train-third.yaml --out build/retina3 --set machine.threads=1 --install

test: install  ## the tests, with their coverage; JOBS=2 files at a time
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --durations=30 --cov --cov-report=term:skip-covered

torture: install  ## 200 random kill -9s over small batches; the same bytes afterwards (40 minutes or more)
	$(BIN)/python -m tests.benchmarks.kill

lint: install  ## form, types, imports, sizes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/lint/sizes.py

format: install  ## put the code in its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: install  ## dist/wsipipe-*.whl
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

wheelhouse: install  ## every wheel and ours, for `make install-offline` on a machine without a network
	$(PIP) wheel --quiet --no-deps --wheel-dir wheelhouse --requirement $(LOCK)
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir wheelhouse .

install-offline:  ## .venv from wheelhouse/, without a network
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --no-deps --no-index --find-links wheelhouse --requirement $(LOCK)
	$(PIP) install --quiet --no-deps --no-index --no-build-isolation --editable .
	touch $(STAMP)

image:  ## container image
	docker build --tag wsipipe .

clean:  ## what builds, tests and demos leave; not .venv, not wheelhouse
	rm -rf build dist demo-results *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
