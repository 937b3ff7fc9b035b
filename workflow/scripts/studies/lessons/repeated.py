"""Leakage and overfitting, each on many small data sets."""

from natal.files.formats import write_csv
from natal.random import stage_key
from natal.running.jobs import script
from natal.studies.lessons.repeated import leakage, overfitting
from natal.studies.lessons.settings import Leakage, Overfitting

with script(snakemake, cpu_devices=1) as log:
    config, files = snakemake.config, snakemake.output
    leaks = leakage(stage_key(config["seed"], "leakage"), Leakage(**config["leakage"]))
    write_csv(files.leakage, leaks)
    log.info("flattery by case: %s", dict(zip(leaks.case, leaks.flattery.round(3), strict=True)))
    found, curves = overfitting(stage_key(config["seed"], "overfitting"), Overfitting(**config["overfitting"]))
    write_csv(files.overfitting, found)
    write_csv(files.overfitting_curves, curves)
    log.info("accuracy on fresh rows: %s", dict(zip(found.case, found.fresh.round(3), strict=True)))
