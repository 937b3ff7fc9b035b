"""Compare the networks of one field with the true field at held-out points, and follow orbits in both."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pandas as pd

from natal.files.formats import write_csv
from natal.running.jobs import script
from natal.studies.potential.accuracy import as_numpy
from natal.studies.potential.cluster import true_fields
from natal.studies.potential.fields import plummer_sphere, sample_field
from natal.studies.potential.names import PLUMMER
from natal.studies.potential.store import load_networks, read_sample, write_tracks
from natal.studies.potential.tables import EXACT, SPHERE, accuracy_tables, line_table, orbit_tables, predictors

with script(snakemake, cpu_devices=1) as log:
    config, files, name = snakemake.config, snakemake.input, snakemake.wildcards.field
    networks = {Path(path).stem: load_networks(path) for path in files.networks}
    test, line = (read_sample(files.samples, name, part) for part in ("test", "line"))
    references = {EXACT: test}
    with jax.enable_x64(True):
        true = true_fields(pd.read_csv(files.stars), config["softenings_au"])[name]
        if name != PLUMMER:
            references[SPHERE] = as_numpy(sample_field(plummer_sphere(), jnp.asarray(test.position)))
        chosen = list(predictors(networks, true, is_sphere=name == PLUMMER))
    accuracy, profiles = accuracy_tables(chosen, references, config["points"]["radius"])
    log.info("%s: accuracy of %d networks", name, sum(map(len, networks.values())))
    orbits, tracks = orbit_tables(chosen, true, config["orbits"])
    tables = {"accuracy": accuracy, "profiles": profiles, "orbits": orbits, "line": line_table(chosen, line)}
    for table, rows in tables.items():
        write_csv(snakemake.output[table], rows)
    write_tracks(snakemake.output.tracks, tracks, list(config["orbits"]["starts"]), snakemake.params.digest)
