"""Train a textbook's network on the study's clusters, with each set of inputs."""

from natal.files.formats import write_csv
from natal.random import stage_key
from natal.running.jobs import script
from natal.studies.evolution.primer import compare
from natal.studies.evolution.settings import PrimerSettings
from natal.studies.evolution.tracks import read_tracks

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    table = read_tracks(snakemake.input.tracks, config["n_stars"], config["box"])
    found = compare(stage_key(config["seed"], "primer"), table, PrimerSettings(**config["primer"]))
    write_csv(snakemake.output[0], found)
    log.info("root mean squared errors:\n%s", found.pivot_table("rmse", ["inputs", "dropout"], "output").round(4))
