"""Write the campaign's report, one self-contained file."""

from typing import TYPE_CHECKING

import pandas as pd

from natal.files import read_json
from natal.jobs import job
from natal.report import write_report
from natal.stage_costs import stage_costs

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0]) as log:
    observed = pd.read_csv(snakemake.input.observed[0]) if snakemake.input.observed else None
    write_report(
        snakemake.output[0],
        snakemake.config,
        read_json(snakemake.input.metrics),
        pd.read_csv(snakemake.input.recovery),
        observed,
        snakemake.input.figures,
        stage_costs(snakemake.params.benchmarks),
    )
    log.info("open %s in a browser", snakemake.output[0])
