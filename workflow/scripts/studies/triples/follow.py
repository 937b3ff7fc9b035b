"""Follow one shard's triples: every n-th row of the table, so that all shards take about as long."""

import pandas as pd

from natal.files.formats import write_csv
from natal.running.jobs import script
from natal.studies.triples.follow import follow

with script(snakemake, cpu_devices=1) as log:
    settings = snakemake.config["integration"]
    table = pd.read_csv(snakemake.input.systems)
    table = table.iloc[int(snakemake.wildcards.shard) :: settings["shards"]].reset_index(drop=True)
    options = {name: settings[name] for name in ("eta", "n_orbits", "slots")}
    found = follow(table, unstable_change=snakemake.config["unstable_change"], **options)
    found.insert(0, "triple_id", table.triple_id)
    write_csv(snakemake.output[0], found)
    log.info("%d of %d triples are unstable", found.t_change_orbits.notna().sum(), len(found))
