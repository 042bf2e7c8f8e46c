# Matinee: every target does its own set-up. `make help` lists them.
.DELETE_ON_ERROR:
.PHONY: help demo test test-all check wheelhouse bench lock debian clean
SHELL := /bin/bash

RECENT := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c '$(RECENT)' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PYTEST_WORKERS ?= 2
WHEELHOUSE ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(WHEELHOUSE),--no-index --find-links=$(abspath $(WHEELHOUSE)))
NATIVE := $(wildcard native/*) CMakeLists.txt pyproject.toml
DEV := $(VENV)/dev.stamp
RUN := $(VENV)/run.stamp

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(RUN)  ## data, models and the page in one go, on 127.0.0.1:8000 or the next free port
	@$(BIN)/matinee demo

test: $(DEV)  ## the fast tests
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) -m "not slow"

test-all: $(DEV)  ## all tests, the slow ones too
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS)

check: $(DEV)  ## formatting, lint, types, the import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

wheelhouse: $(VENV)/pip.stamp  ## collect what `make demo WHEELHOUSE=wheelhouse` needs without a network
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --require-hashes -d wheelhouse -r requirements/run.txt
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --require-hashes -d wheelhouse -r requirements/build.txt

lock:  ## pin the dependencies anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet pyproject.toml -o requirements/run.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet pyproject.toml --all-extras --group dev -o requirements/dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet requirements/build.in -o requirements/build.txt

debian:  ## the Debian packages that some tests need (as root; skipped elsewhere)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends strace curl >/dev/null; \
	else echo "debian packages: skipped, needs root and apt-get; the tests that need strace or curl will be skipped"; fi

clean:  ## remove what the other targets made
	rm -rf $(VENV) build wheelhouse

$(VENV)/pip.stamp:
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c '$(RECENT)' || { echo "Matinee needs Python 3.11 or newer: install it (Debian: apt-get install python3 python3-venv) or name it with PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: install it (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@command -v "$${CXX:-c++}" >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || { echo "a C++ compiler is missing: install one (Debian: apt-get install g++)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/build.stamp: $(VENV)/pip.stamp requirements/build.txt
	$(PIP) --require-hashes -r requirements/build.txt
	@touch $@

$(RUN): $(VENV)/build.stamp requirements/run.txt $(NATIVE) $(shell find src -name '*.py' -o -name '*.html' -o -name '*.css' -o -name '*.js')
	$(PIP) --require-hashes -r requirements/run.txt
	PATH="$(abspath $(BIN)):$$PATH" $(PIP) --no-deps --no-build-isolation --force-reinstall .
	@rm -f $(DEV); touch $@

$(DEV): $(VENV)/build.stamp requirements/dev.txt $(NATIVE)
	$(PIP) --require-hashes -r requirements/dev.txt
	PATH="$(abspath $(BIN)):$$PATH" $(PIP) --no-deps --no-build-isolation --editable .
	@rm -f $(RUN); touch $@
