# Matinee: every target does its own set-up in .venv. `make` lists them.
.DELETE_ON_ERROR:
.PHONY: help demo test test-isa test-all test-arm64 check docs bench wheels wheelhouse lock debian clean

RECENT := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c '$(RECENT)' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PYTEST_WORKERS ?= 2
PYTEST = OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(PYTEST_WORKERS)
WHEELHOUSE ?=
QUIET := --quiet --disable-pip-version-check
OFFLINE := $(if $(WHEELHOUSE),--no-index --find-links=$(abspath $(WHEELHOUSE)))
INSTALL = $(BIN)/python -m pip install $(QUIET) $(OFFLINE)
MATINEE = PATH="$(abspath $(BIN)):$$PATH" $(INSTALL) --no-deps --no-build-isolation --force-reinstall
DEBIAN := node-typescript strace curl postgresql chromium fonts-dejavu-core openjdk-17-jre-headless procps nginx-light openssl wrk
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet

# What stands in .venv: a user's installation, or the developer's, which can do all of that as well.
USER := $(VENV)/user.stamp
DEVELOPER := $(VENV)/developer.stamp
INSTALLED := $(if $(wildcard $(DEVELOPER)),$(DEVELOPER),$(USER))
TOOLS := build/release/tools
NATIVE := $(wildcard native/*) CMakeLists.txt pyproject.toml
SOURCES := $(shell find src -type f -not -name '*.pyc')

help:  ## list the targets
	@sed -nE 's/^([a-z0-9-]+):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(INSTALLED)  ## data, models and the page in one go, on 127.0.0.1:8000 or the next free port
	@$(BIN)/matinee demo

test: $(DEVELOPER)  ## the fast tests, in a few minutes
	$(PYTEST) -m "not slow"

test-isa: $(DEVELOPER)  ## the fast tests once more on every other instruction set of this machine
	@sets=$$($(BIN)/python -c 'from matinee import kernels; print(*kernels.instruction_sets()[1:])'); \
	for set in $$sets; do MATINEE_ISA=$$set $(PYTEST) -m "not once and not slow" || exit 1; done

test-all: $(DEVELOPER)  ## all tests, the slow ones too
	$(PYTEST)

check: $(DEVELOPER) debian  ## formatting, lint, types, the import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/clang-format --dry-run --Werror native/*.cpp native/*.hpp
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v tsc >/dev/null; then tsc -p jsconfig.json; \
	else echo "left out, the types of the scripts: install TypeScript (Debian: apt-get install node-typescript)"; fi

docs: $(DEVELOPER)  ## write docs/cli.md anew from the commands' help
	$(BIN)/python docs/command_reference.py

bench: $(DEVELOPER)  ## measure how fast; takes long and wants an idle machine
	set -e; for each in $(filter-out %/record.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$each; done

wheelhouse: OFFLINE :=
wheelhouse: $(VENV)/build.stamp  ## collect in WHEELHOUSE=DIR what `make demo WHEELHOUSE=DIR` needs without a network
	$(BIN)/python -m pip download $(QUIET) --only-binary :all: --require-hashes -d $(or $(WHEELHOUSE),wheelhouse) -r requirements/build.txt
	$(BIN)/python -m pip download $(QUIET) --only-binary :all: --require-hashes -d $(or $(WHEELHOUSE),wheelhouse) -r requirements/run.txt
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pip wheel $(QUIET) --no-deps --no-build-isolation -w $(or $(WHEELHOUSE),wheelhouse) .

wheels: $(TOOLS).stamp  ## the source archive and wheels for Linux on x86-64 and arm64, checked, in dist
	$(TOOLS)/bin/python release/wheels.py

test-arm64: wheels  ## the tests of the kernels on an emulated arm64 (on Debian)
	release/test_arm64.sh

lock:  ## pin the dependencies anew (needs uv)
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) requirements/release.in --constraint requirements/build.txt -o requirements/release.txt
	$(COMPILE) pyproject.toml -o requirements/run.txt
	$(COMPILE) pyproject.toml --all-extras --group dev -o requirements/dev.txt
	$(COMPILE) requirements/arm64.in --constraint requirements/dev.txt -o requirements/arm64.txt

debian:  ## the Debian packages that some tests need (as root; left out elsewhere)
	@missing=$$(for p in $(DEBIAN); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "left out, installing them needs root and apt-get; the tests that use them are skipped:" $$missing; \
	else apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >/dev/null \
	  || echo "left out, apt-get failed; the tests that use them are skipped:" $$missing; fi

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist wheelhouse .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache

# $(call need,COMMAND,SENTENCE): end with this one sentence unless the command succeeds
need = $(if $(shell $(1) >/dev/null 2>&1 && echo yes),,$(error $(2)))
HEADERS := import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))
CXX_NAMES := $(if $(filter default,$(origin CXX)),c++ g++ clang++,$(CXX))

$(VENV)/pip.stamp:
	$(call need,[ '$(PYTHON)' ] && $(PYTHON) -c '$(RECENT)',Matinee needs Python 3.11 or newer: install it (Debian: apt-get install python3-venv python3-dev) or name one with PYTHON=/path/to/python3)
	$(call need,$(PYTHON) -c 'import venv; import ensurepip',the venv module of $(PYTHON) is missing: install it (Debian: apt-get install python3-venv))
	$(call need,$(PYTHON) -c '$(HEADERS)',the headers of $(PYTHON) are missing: install them (Debian: apt-get install python3-dev))
	$(call need,for c in $(CXX_NAMES); do command -v $$c && break; done,a C++ compiler is missing: install one (Debian: apt-get install g++) or name it with CXX=/path/to/compiler)
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/build.stamp: $(VENV)/pip.stamp requirements/build.txt
	$(INSTALL) --require-hashes -r requirements/build.txt
	@touch $@

$(TOOLS).stamp: requirements/release.txt
	$(PYTHON) -m venv --clear $(TOOLS)
	$(TOOLS)/bin/python -m pip install $(QUIET) $(OFFLINE) --require-hashes -r requirements/release.txt
	@touch $@

$(USER): $(VENV)/build.stamp requirements/run.txt $(NATIVE) $(SOURCES)
	$(INSTALL) --require-hashes -r requirements/run.txt
	$(MATINEE) .
	@touch $@

$(DEVELOPER): $(VENV)/build.stamp requirements/dev.txt $(NATIVE)
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(MATINEE) --editable .
	@rm -f $(USER); touch $@
