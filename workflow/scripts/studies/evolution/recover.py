"""Recover (Q0, a) of clusters at ages drawn from one age prior, with the age known and unknown."""

import numpy as np
import xarray as xr

from natal.files.atomic import atomic_path
from natal.files.formats import write_csv, write_json
from natal.random import stage_key
from natal.running import device
from natal.running.jobs import script
from natal.studies.evolution import network, recovery, sampling
from natal.studies.evolution.age import read_age_prior
from natal.studies.evolution.settings import Recovery
from natal.studies.evolution.tracks import BIRTH_AND_AGE, read_tracks, snapshots, time_range

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config, name = snakemake.config, snakemake.wildcards.prior
    settings = Recovery(**config["recovery"])
    table = read_tracks(snakemake.input.tracks, config["n_stars"], config["box"])
    prior = read_age_prior(name, config["age_priors"][name], time_range(table))
    ensemble = network.load(snakemake.input.ensemble)
    ranges = tuple(tuple(map(float, config["box"][one])) for one in BIRTH_AND_AGE[:2])
    rng = np.random.default_rng(config["seed"])
    drawn = recovery.draw_cases(snapshots(table, "calibration"), prior, settings.cases, rng)
    cases = drawn[~drawn.dissolved].reset_index(drop=True)
    log.info("%d clusters, %d of them dissolved, on %s", len(drawn), drawn.dissolved.sum(), device.describe())
    recovered = recovery.recover(ensemble, ranges, prior, cases, settings.grid)
    write_csv(snakemake.output.table, recovery.recovery_table(cases, recovered))

    sampled = cases.head(settings.nuts_cases)
    key = stage_key(config["seed"], f"recover {name}")
    result = sampling.sample(key, ensemble, ranges, prior, sampled, recovered, settings)
    nuts = sampling.nuts_table(sampled, recovered, result)
    write_csv(snakemake.output.nuts, nuts)
    draws = {parameter: (("case", "chain", "draw"), result.draws[..., k]) for k, parameter in enumerate(BIRTH_AND_AGE)}
    with atomic_path(snakemake.output.posteriors) as path:
        xr.Dataset(draws, attrs={"age_prior": name}).to_netcdf(path, engine="h5netcdf")

    report = recovery.age_report(cases, recovered, ranges, prior)
    report |= {"n_dissolved": int(drawn.dissolved.sum()), "nuts": sampling.nuts_report(nuts, recovered, result)}
    write_json(snakemake.output.metrics, report)
    said = report["loss"][0]["nats"], report["nuts"]["max_rhat"], report["nuts"]["divergences"]
    log.info("not knowing the age costs %.2f nats; max R-hat %.3f, %d divergences", *said)
