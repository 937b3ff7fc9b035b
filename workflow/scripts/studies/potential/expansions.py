"""Fit multipole expansions to the clumps' field, and compare them with networks that learned from the same points."""

from pathlib import Path

import jax
import pandas as pd

from natal.files.formats import write_csv
from natal.random import stage_key
from natal.running.jobs import script
from natal.studies.potential.clumps import draw_clumps
from natal.studies.potential.expansion import fit_expansions
from natal.studies.potential.names import CLUMPS
from natal.studies.potential.settings import Weights
from natal.studies.potential.store import load_networks, read_sample
from natal.studies.potential.weighting import density_maps, expansion_errors, network_errors

MAP_EXTENT = 3.0

with script(snakemake, cpu_devices=1) as log:
    config, section = snakemake.config, snakemake.config["expansions"]
    train, test = (read_sample(snakemake.input.samples, CLUMPS, part) for part in ("train", "test"))
    radius, weights = config["points"]["radius"], Weights(**config["training"]["weights"])
    networks = {Path(path).stem: load_networks(path) for path in snakemake.input.networks}
    with jax.enable_x64(True):
        expansions = fit_expansions(train, sorted(section["degrees"]), section["radial"], weights)
        tables = [expansion_errors(expansion, test, radius) for expansion in expansions]
        log.info("basis of radius %.3f a, %s functions", expansions[0].scale, [len(e.coefficients) for e in expansions])
        true = draw_clumps(stage_key(config["seed"], CLUMPS), config["clumps"])
        last = list(networks.values())[-1][0]
        write_csv(snakemake.output.maps, density_maps(true, last, expansions[-1], MAP_EXTENT))
    for terms, seeds in networks.items():
        tables += [network_errors(one, test, radius, terms=terms, seed=seed) for seed, one in enumerate(seeds)]
    write_csv(snakemake.output.table, pd.concat(tables))
