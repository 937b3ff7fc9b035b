"""Gather the numbers of the study `evolution` into one file."""

from typing import TYPE_CHECKING

from natal.files.formats import read_json, write_json
from natal.running.jobs import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0], snakemake):
    metrics = {name: read_json(snakemake.input[name]) for name in ("training", "evaluation")}
    recovered = zip(snakemake.config["age_priors"], snakemake.input.recovery, strict=True)
    metrics["recovery"] = {prior: read_json(path) for prior, path in recovered}
    write_json(snakemake.output[0], metrics)
