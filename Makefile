# The commands of the README. Arguments for snakemake: make run ARGS="-n"
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
# the newest supported Python on this machine
PYTHON ?= $(firstword $(shell for v in 3.13 3.12 3.11 3; do command -v python$$v; done))

.PHONY: run env env-cuda12 test test-slow lint lock

run: env
	$(BIN)/snakemake --profile profiles/local $(ARGS)

env: $(VENV)/cpu.stamp
env-cuda12: $(VENV)/cuda12.stamp

# one environment: installing for the other kind of device replaces what differs
$(VENV)/%.stamp: requirements/%.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "natal needs Python 3.11 or newer, found " + sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3-venv is missing: on Debian, apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/*.stamp
	@touch $@

test: env
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-slow: env
	$(BIN)/python -m pytest -m slow

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	# advice: it asks for a conda environment or container a rule, natal has one locked environment for all
	-$(BIN)/snakemake --lint

# needs uv (https://docs.astral.sh/uv); the lock files hold hashes and no index address
lock:
	for kind in cpu cuda12; do \
	  uv pip compile --quiet pyproject.toml --extra workflow --extra dev \
	    $$(test $$kind = cuda12 && echo --extra cuda12 --constraint requirements/cpu.txt) \
	    --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-emit-index-url \
	    --no-annotate --no-header --output-file requirements/$$kind.txt || exit 1; \
	done
