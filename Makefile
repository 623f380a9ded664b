# Needs Python >= 3.11 and make. Choose another interpreter with `make PYTHON=python3.12 test`.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
TYPED := build/typed
bin := $(VENV)/bin

.PHONY: help demo test check bench coverage wheel clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

demo: $(VENV)/.demo  ## train a small convolutional network on real digits (ARGS="--epochs 3")
	$(bin)/tensorlite demo $(ARGS)

test: $(VENV)/.dev  ## run the whole test suite on all cores (ARGS="tests/data -x" chooses, on one)
	$(bin)/python -m pytest $(or $(ARGS),-n auto --dist loadfile)

check: $(VENV)/.dev  ## ruff and mypy
	$(bin)/ruff check .
	rm -rf $(TYPED) && mkdir -p $(TYPED)/tensorlite
	ln -s $(CURDIR)/tensorlite/* $(TYPED)/tensorlite/
	ln -s $(CURDIR)/jit $(CURDIR)/kernels $(CURDIR)/benchmarks $(TYPED)/tensorlite/
	cd $(TYPED) && $(abspath $(bin))/mypy --config-file $(CURDIR)/setup.cfg --cache-dir $(CURDIR)/.mypy_cache -p tensorlite

bench: $(VENV)/.dev  ## measure the eager engine beside NumPy, and PyTorch where it is installed
	$(bin)/tensorlite bench eager $(ARGS)

coverage: $(VENV)/.dev $(VENV)/.bench  ## list in docs/coverage.md what of PyTorch and the array API exists here
	$(bin)/python -m docs.coverage

wheel: $(VENV)/.dev  ## build a wheel into dist/
	$(bin)/python -m pip wheel --no-deps --wheel-dir dist .

clean:  ## remove the environment and everything that was built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(bin)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "tensorlite needs Python >= 3.11; choose one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp for each extra, so that a second run installs nothing.
$(VENV)/.%: setup.cfg pyproject.toml | $(bin)/python
	$(bin)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	touch $@
