"""Train networks of one field with all terms of the loss and another weight of one, and measure their errors."""

import jax
import pandas as pd

from natal.files.formats import write_csv
from natal.random import stage_key
from natal.running.jobs import script
from natal.studies.potential.names import ALL
from natal.studies.potential.settings import PotentialSettings
from natal.studies.potential.store import load_networks, read_sample
from natal.studies.potential.training import TERMS, train_potential
from natal.studies.potential.weighting import network_errors, variations

with script(snakemake, cpu_devices=1) as log:
    field, config, section = snakemake.wildcards.field, snakemake.config, snakemake.config["sweep"]
    settings = PotentialSettings(**config["training"])
    train, test = (read_sample(snakemake.input.samples, field, part) for part in ("train", "test"))
    # the starts and batches of the networks with the configuration's weights
    keys = jax.random.split(stage_key(config["seed"], f"networks {field}"), settings.seeds)[: section["seeds"]]
    radius = config["points"]["radius"]
    tables = [
        network_errors(network, test, radius, seed=seed, **settings.weights.model_dump())
        for seed, network in enumerate(load_networks(snakemake.input.networks[0])[: section["seeds"]])
    ]
    for weights in variations(settings.weights, snakemake.wildcards.weight, section["factors"]):
        changed = settings.model_copy(update={"weights": weights})
        for seed, key in enumerate(keys):
            # with all terms the potential's constant is learned
            network, _ = train_potential(key, train, float("nan"), TERMS[ALL], changed, f"{field}: {weights}, {seed}")
            tables.append(network_errors(network, test, radius, seed=seed, **weights.model_dump()))
        log.info("%s: %s", field, weights)
    write_csv(snakemake.output[0], pd.concat(tables))
