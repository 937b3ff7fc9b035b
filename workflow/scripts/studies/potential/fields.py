"""Sample the true fields at training and test points and along the x axis."""

import jax
import jax.numpy as jnp
import pandas as pd

from natal.random import stage_key
from natal.running.jobs import script
from natal.studies.potential.clumps import draw_clumps
from natal.studies.potential.cluster import true_fields
from natal.studies.potential.fields import near_particles, sample_field, uniform_in_radius
from natal.studies.potential.names import CLUMPS, PLUMMER
from natal.studies.potential.store import write_samples

LINE_POINTS = 801

with script(snakemake, cpu_devices=1) as log:
    config, points = snakemake.config, snakemake.config["points"]
    with jax.enable_x64(True):
        fields = true_fields(pd.read_csv(snakemake.input.stars), config["softenings_au"])
        fields[CLUMPS] = draw_clumps(stage_key(config["seed"], CLUMPS), config["clumps"])
        test = uniform_in_radius(stage_key(config["seed"], "test"), points["test"], 0.0, points["test_radius"])
        x = jnp.linspace(-points["radius"], points["radius"], LINE_POINTS)
        line = jnp.zeros((LINE_POINTS, 3)).at[:, 0].set(x)
        samples = {}
        for name, field in fields.items():
            key = stage_key(config["seed"], f"train {name}")
            if name in (PLUMMER, CLUMPS):
                train = uniform_in_radius(key, points["train"], 0.0, points["radius"])
            else:
                train = near_particles(key, points["train"], field.position, points["displacement"], points["radius"])
            parts = {"train": train, "test": test, "line": line}
            samples[name] = {part: sample_field(field, position) for part, position in parts.items()}
            log.info("%s: %d training points, softening %.3f a", name, len(train), field.softening)
    write_samples(snakemake.output.samples, samples, snakemake.params.digest)
