"""See every stored snapshot as three observers do."""

import pandas as pd

from natal.files.formats import write_csv
from natal.running.jobs import script
from natal.simulation.lines_of_sight import final_table, observe_shards, write_lines_of_sight

with script(snakemake) as log:
    aperture = snakemake.config["observables"]["aperture"]
    seen = observe_shards(snakemake.input.shards, aperture)
    split = pd.read_csv(snakemake.input.design).set_index("point_id").split
    write_csv(snakemake.output.table, final_table(seen, split))
    write_lines_of_sight(snakemake.output.snapshots, seen, aperture)
    log.info("%d clusters at %d times along three lines of sight", len(seen.point_id), len(seen.time_yr))
