"""Simulate the cluster whose particles make the fields, and fit a Plummer sphere to it."""

from natal.files.formats import write_csv, write_json
from natal.running.jobs import script
from natal.studies.potential.cluster import AXES, fit_plummer, simulate

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    stars, described = simulate(config["seed"], config["cluster"])
    fit = fit_plummer(stars[list(AXES)].to_numpy())
    write_csv(snakemake.output.stars, stars)
    write_json(snakemake.output.run, described | {"a_fit_au": fit.a_au, "centre_fit_au": fit.centre_au})
    log.info("%d stars, a = %.1f AU, energy error %.1e", len(stars), fit.a_au, described["energy_error"])
