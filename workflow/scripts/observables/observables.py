"""See every stored snapshot as three observers do."""

from functools import partial

import pandas as pd

from natal.files.formats import write_csv
from natal.progress import track
from natal.running.jobs import script
from natal.running.side_by_side import side_by_side
from natal.simulation.lines_of_sight import final_table, joined, observe_shard, write_lines_of_sight

# shards that a process gets at a time: a large one takes seconds
SHARDS_AT_A_TIME = 4

with script(snakemake) as log:
    aperture = snakemake.config["observables"]["aperture"]
    paths, n_processes = list(snakemake.input.shards), snakemake.threads
    see = partial(observe_shard, aperture=aperture)
    seeing = side_by_side(see, paths, n_processes=n_processes, at_a_time=SHARDS_AT_A_TIME)
    seen = joined(paths, list(track(seeing, total=len(paths), label="observe", unit="shards")))
    split = pd.read_csv(snakemake.input.design).set_index("point_id").split
    write_csv(snakemake.output.table, final_table(seen, split))
    write_lines_of_sight(snakemake.output.snapshots, seen, aperture)
    log.info("%d clusters at %d times along three lines of sight", len(seen.point_id), len(seen.time_yr))
