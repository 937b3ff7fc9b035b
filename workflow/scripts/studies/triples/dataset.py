"""Join births and ends of the triples and cut them into splits."""

import pandas as pd

from natal.files.formats import write_csv
from natal.running.jobs import script
from natal.studies.triples.names import SPLITS

with script(snakemake) as log:
    followed = pd.concat([pd.read_csv(path) for path in snakemake.input.followed])
    table = pd.read_csv(snakemake.input.systems).merge(followed, on="triple_id", validate="one_to_one")
    table["unstable"] = table.t_change_orbits.notna()
    for split in SPLITS:
        write_csv(snakemake.output[split], table[table.split == split])
    log.info("share of unstable triples: %s", table.groupby("split").unstable.mean().round(3).to_dict())
