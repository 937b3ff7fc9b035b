"""Gather the numbers of the study `evolution` into one file."""

import pandas as pd

from natal.files.formats import read_json, write_json
from natal.running.jobs import script

with script(snakemake):
    metrics = {name: read_json(snakemake.input[name]) for name in ("training", "evaluation")}
    metrics["primer"] = pd.read_csv(snakemake.input.primer).to_dict("records")
    recovered = zip(snakemake.config["age_priors"], snakemake.input.recovery, strict=True)
    metrics["recovery"] = {prior: read_json(path) for prior, path in recovered}
    write_json(snakemake.output[0], metrics)
