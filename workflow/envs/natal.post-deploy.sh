#!/usr/bin/env bash
# Run by Snakemake in the new environment, from the project's folder: the locked packages, then natal itself.
set -euo pipefail
python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/cpu.txt
python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
