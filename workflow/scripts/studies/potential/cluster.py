"""Simulate the cluster whose particles make the fields, and fit a Plummer sphere to it."""

from typing import TYPE_CHECKING

from natal.files.formats import write_csv, write_json
from natal.running import device
from natal.running.jobs import job
from natal.studies.potential.cluster import AXES, fit_plummer, simulate

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0], snakemake) as log:
    device.set_up(threads=snakemake.threads)
    config = snakemake.config
    stars, described = simulate(config["seed"], config["cluster"])
    fit = fit_plummer(stars[list(AXES)].to_numpy())
    write_csv(snakemake.output.stars, stars)
    write_json(snakemake.output.run, described | {"a_fit_au": fit.a_au, "centre_fit_au": fit.centre_au})
    log.info("%d stars, a = %.1f AU, energy error %.1e", len(stars), fit.a_au, described["energy_error"])
