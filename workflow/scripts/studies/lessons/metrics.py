"""Gather the study's numbers."""

import pandas as pd

from natal.files.formats import read_json, write_json
from natal.running.jobs import script

with script(snakemake):
    tables = {name: pd.read_csv(snakemake.input[name]).to_dict("records") for name in ("leakage", "overfitting")}
    write_json(snakemake.output[0], tables | read_json(snakemake.input.single))
