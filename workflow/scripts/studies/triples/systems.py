"""Draw the triples of all splits from the prior."""

import numpy as np

from natal.files.formats import write_csv
from natal.running.jobs import script
from natal.studies.triples import systems
from natal.studies.triples.settings import Prior

with script(snakemake) as log:
    config = snakemake.config
    n_by_split = config["triples"]
    prior = Prior(**config["prior"])
    table = systems.draw(sum(n_by_split.values()), prior, np.random.default_rng(config["seed"]))
    table.insert(0, "triple_id", np.arange(len(table)))
    table.insert(1, "split", systems.split_names(n_by_split))
    write_csv(snakemake.output[0], table)
    log.info("%d triples", len(table))
