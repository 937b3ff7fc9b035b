"""Draw the systems of all splits from the prior and follow them."""

import numpy as np
import pandas as pd

from natal.files.formats import write_csv
from natal.running.jobs import script
from natal.studies.planets import systems
from natal.studies.planets.follow import follow
from natal.studies.planets.names import SPLITS
from natal.studies.planets.settings import PlanetPrior

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    n_by_split = config["systems"]
    table = systems.draw(
        sum(n_by_split.values()), PlanetPrior(**config["prior"]), np.random.default_rng(config["seed"])
    )
    table = pd.concat([table, follow(table, **config["integration"])], axis=1)
    table["unstable"] = table.t_end_orbits.notna()
    split = np.repeat(SPLITS, [n_by_split[name] for name in SPLITS])
    for name in SPLITS:
        write_csv(snakemake.output[name], table[split == name])
    log.info("%d of %d systems came apart", table.unstable.sum(), len(table))
