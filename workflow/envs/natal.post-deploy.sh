#!/usr/bin/env bash
# Run by Snakemake in the new environment, from the project's folder: the locked packages, then natal itself.
set -euo pipefail
[ -f requirements/cpu.txt ] || { echo "natal: --sdm conda needs a checkout with its lock files (requirements/)"; exit 1; }
python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/cpu.txt
python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
