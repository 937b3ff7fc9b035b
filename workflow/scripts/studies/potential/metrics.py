"""Gather the study's numbers from its tables."""

import pandas as pd

from natal.files.formats import read_json, write_json
from natal.provenance.environment import made_by
from natal.running.jobs import script
from natal.studies.potential.metrics import (
    accuracy_numbers,
    expansion_numbers,
    orbit_numbers,
    training_numbers,
    weight_numbers,
)
from natal.studies.potential.names import field_names
from natal.studies.potential.weighting import swept_tables

with script(snakemake) as log:
    config, files = snakemake.config, snakemake.input
    time = config["orbits"]["time"]
    terms = config["training"]["terms"]
    metrics = {"cluster": read_json(files.run), "fields": {}}
    for k, field in enumerate(field_names(config["softenings_au"])):
        curves = files.curves[k * len(terms) : (k + 1) * len(terms)]
        metrics["fields"][field] = {
            "accuracy": accuracy_numbers(pd.read_csv(files.accuracy[k])),
            # times of about one, five and ten revolutions
            "orbits": orbit_numbers(pd.read_csv(files.orbits[k]), [0.1 * time, 0.5 * time, time]),
            "training": {name: training_numbers(pd.read_csv(path)) for name, path in zip(terms, curves, strict=True)},
        }
    swept = swept_tables(files.sweeps, config["sweep"]["fields"])
    metrics["weights"] = {field: weight_numbers(table) for field, table in swept.items()}
    metrics["expansions"] = expansion_numbers(pd.read_csv(files.expansions))
    write_json(snakemake.output[0], metrics | {"provenance": made_by(snakemake.params.digest)})
