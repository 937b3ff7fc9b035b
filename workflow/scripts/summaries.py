"""Gather the end-of-run summaries of all shards into one table."""

from typing import TYPE_CHECKING

import pandas as pd

from natal.evaluation import simulation_report
from natal.files import write_csv, write_json
from natal.jobs import job
from natal.store import join_design, read_shard_cost, read_shard_summaries

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0]) as log:
    runs = pd.concat([read_shard_summaries(path) for path in snakemake.input.shards], ignore_index=True)
    table = join_design(runs, pd.read_csv(snakemake.input.design))
    write_csv(snakemake.output.table, table)
    costs = pd.DataFrame([read_shard_cost(path) for path in snakemake.input.shards])
    write_json(snakemake.output.metrics, simulation_report(table, costs))
    log.info(
        "%d runs, %d dissolved, largest energy error %.2g",
        len(table),
        table.dissolved.sum(),
        table.energy_error.max(),
    )
