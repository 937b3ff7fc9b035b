"""Train the networks of one field and one combination of loss terms, one a seed."""

import jax
import pandas as pd

from natal.files.formats import write_csv
from natal.random import stage_key
from natal.running.jobs import script
from natal.studies.potential.settings import PotentialSettings
from natal.studies.potential.store import read_sample, save_networks
from natal.studies.potential.training import QUANTITIES, TERMS, train_potential

with script(snakemake, cpu_devices=1) as log:
    field, terms = snakemake.wildcards.field, snakemake.wildcards.terms
    config = snakemake.config
    settings = PotentialSettings(**config["training"])
    train, line = (read_sample(snakemake.input.samples, field, part) for part in ("train", "line"))
    # the middle of the line of points is the origin
    centre = float(line.potential[len(line.potential) // 2])
    # the same for each combination of terms: their networks start from the same weights and see the same batches
    keys = jax.random.split(stage_key(config["seed"], f"networks {field}"), settings.seeds)
    networks, curves = [], []
    for seed, key in enumerate(keys):
        label = f"{field} {terms} {seed}"
        network, curve = train_potential(key, train, centre, TERMS[terms], settings, label)
        networks.append(network)
        losses = dict(zip(QUANTITIES, curve.losses.T, strict=True))
        curves.append(pd.DataFrame({"seed": seed, "step": curve.step, "seconds": curve.seconds} | losses))
        log.info("%s: %.0f s, last losses %s", label, curve.seconds[-1], curve.losses[-1])
    save_networks(snakemake.output.networks, networks, field, terms, snakemake.params.digest)
    write_csv(snakemake.output.curves, pd.concat(curves))
