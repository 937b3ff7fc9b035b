# The commands of the README. Arguments for snakemake or the benchmarks: make run ARGS="-n"
ARGS ?=
STUDIES := $(filter-out common,$(patsubst workflow/studies/%.smk,%,$(wildcard workflow/studies/*.smk)))
VENV := .venv
BIN := $(VENV)/bin
# the first Python that works and is new enough
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

# modules of other Pythons, which a cluster's `module load` puts before the environment's own; and pip's `user` setting
unexport PYTHONPATH PYTHONHOME
export PIP_USER := 0
# Snakemake keeps files in the home folder's cache, which may not be writable
ifndef XDG_CACHE_HOME
ifneq ($(shell mkdir -p "$$HOME/.cache" 2>/dev/null && test -w "$$HOME/.cache" && echo yes),yes)
export XDG_CACHE_HOME := $(CURDIR)/.cache
endif
endif

CAMPAIGN ?= results/default
.PHONY: run check-trust study status provenance env env-cuda12 test test-all test-slow test-slurm test-browser bench bench-gpu bench-scale bench-inference docs lint schema trained lock

run: env
	$(BIN)/snakemake --profile profiles/local $(ARGS)

# how far a finished campaign's posteriors can be trusted, on fresh clusters; ARGS="--configfile FILE" as for run
check-trust: env
	$(BIN)/snakemake --profile profiles/local check_trust $(ARGS)

# one of the small studies: make study STUDY=potential; at smoke size with
# ARGS="--configfile config/studies/potential_smoke.yaml"
study: env
	@test -f workflow/studies/$(STUDY).smk || { echo "STUDY=$(STUDY) is not a study; there are: $(STUDIES)"; exit 1; }
	$(BIN)/snakemake --snakefile workflow/studies/$(STUDY).smk --profile profiles/local $(ARGS)

env: $(VENV)/cpu.stamp
env-cuda12: $(VENV)/cuda12.stamp

# which simulations are done, running (with their ETA) or failed; ARGS="--configfile FILE" as for run
status:
	@test -x $(BIN)/python || { echo "make env first (on a GPU cluster make env-cuda12)"; exit 1; }
	@$(BIN)/python -m natal.cli status $(ARGS)

# what made a file, and whether it is still that file: make provenance FILE=results/default/recovery.csv
provenance:
	@test -x $(BIN)/python || { echo "make env first (on a GPU cluster make env-cuda12)"; exit 1; }
	@test -n "$(FILE)" || { echo "name a file: make provenance FILE=results/default/recovery.csv"; exit 1; }
	@$(BIN)/python -m natal.cli provenance $(FILE)

# for who calls snakemake without make: as above
define ACTIVATED
unset PYTHONPATH PYTHONHOME
{ test -n "$${XDG_CACHE_HOME-}" || { mkdir -p "$$HOME/.cache" && test -w "$$HOME/.cache"; }; } 2>/dev/null || export XDG_CACHE_HOME=$(CURDIR)/.cache
endef
export ACTIVATED

# one environment: installing for the other kind of device replaces what differs
$(VENV)/%.stamp: requirements/%.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "natal needs Python 3.11 or newer (make PYTHON=/path/to/python3.11)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv --clear $(VENV) || { echo "python3-venv is missing: on Debian, apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(VENV) was made by $$($(BIN)/python --version 2>&1), natal needs 3.11 or newer: rm -r $(VENV), then the same again"; \
	  exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@grep -q "^unset PYTHONPATH" $(BIN)/activate || echo "$$ACTIVATED" >> $(BIN)/activate
	@rm -f $(VENV)/*.stamp
	@touch $@

test: env
	$(BIN)/python -m pytest -m "not slow and not slurm and not browser" -n 2 --dist loadfile --max-worker-restart 2

# the long ones that `make test` leaves out: jobs that really run, networks that are trained, full-scale physics
test-slow: env
	$(BIN)/python -m pytest -m "slow and not slurm and not browser" -n 2 --dist loadfile --max-worker-restart 2

test-all: test test-slow

# a private one-node Slurm, as root, from Debian packages; says why and skips where that cannot be
test-slurm: env
	tests/slurm/install.sh
	$(BIN)/python -m pytest -m slurm tests/slurm -v -n 3 --dist loadfile -p no:cacheprovider

# a report and the site of `make docs` in a headless Chromium, which is installed as root on Debian;
# NATAL_REPORT=results/smoke/report.html spares the run of a tiny campaign, NATAL_SITE=site the building of the site
test-browser: env
	tests/browser/install.sh
	$(BIN)/python -m pytest -m browser tests/browser -v

# needs a C compiler; ARGS=--short for a look
bench: env
	$(BIN)/python benchmarks/run.py $(ARGS)

# the N-body part on a GPU; ARGS=--short for a look without one
bench-gpu: env-cuda12
	$(BIN)/python benchmarks/gpu.py $(ARGS)

# what a campaign of many shards costs beside its simulations; ARGS="--shards 1000" for a look
bench-scale: env
	$(BIN)/python benchmarks/scale.py $(ARGS)

# posteriors of a finished campaign by natal, by hand, by plain NumPyro and by sbi's networks; ARGS=--short for a look.
# sbi brings torch: install one for processors alone first where CUDA's libraries are not wanted
bench-inference: env
	$(BIN)/python -c 'import sbi' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[bench]' || true
	$(BIN)/python benchmarks/inference.py $(ARGS)

# the documentation as a site: open site/index.html. No network is needed
docs: env
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --clean

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakemake --lint

# from the settings' classes: the JSON schemas for editors, the table of config/README.md
schema: env
	$(BIN)/python workflow/schemas/write.py

# the campaign that comes with natal, from a finished one: make trained CAMPAIGN=results/default
trained: env
	$(BIN)/python -c 'import sys; from natal.cli.found import replace_trained; replace_trained(sys.argv[1])' $(CAMPAIGN)

# needs uv (https://docs.astral.sh/uv); the lock files hold hashes and no index address
lock:
	for kind in cpu cuda12; do \
	  uv pip compile --quiet pyproject.toml --extra workflow --extra dev --extra docs \
	    $$(test $$kind = cuda12 && echo --extra cuda12 --constraint requirements/cpu.txt) \
	    --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-emit-index-url \
	    --no-annotate --no-header --output-file requirements/$$kind.txt || exit 1; \
	done
