"""Join births and ends of the triples and cut them into splits."""

import pandas as pd

from natal.files.formats import write_csv
from natal.running.jobs import script
from natal.studies.triples.names import LABELS, SPLITS

with script(snakemake) as log:
    followed = pd.concat([pd.read_csv(path) for path in snakemake.input.followed])
    table = pd.read_csv(snakemake.input.systems).merge(followed, on="triple_id", validate="one_to_one")
    table["unstable"] = table.t_change_orbits.notna()
    table["chaotic"] = table.megno > snakemake.config["chaotic_megno"]
    for split in SPLITS:
        write_csv(snakemake.output[split], table[table.split == split])
    shares = table.groupby("split")[list(LABELS)].mean().round(3)
    log.info("shares of unstable and of chaotic triples: %s", shares.to_dict())
