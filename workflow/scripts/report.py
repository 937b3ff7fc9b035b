"""Write the campaign's report, one self-contained file, and the figures' captions for `snakemake --report`."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from natal.files import atomic_path, read_json
from natal.jobs import job
from natal.lineage import history, read_provenance, steps
from natal.report import CAPTIONS, write_report
from natal.stage_costs import stage_costs

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0], snakemake) as log:
    observed = pd.read_csv(snakemake.input.observed[0]) if snakemake.input.observed else None
    write_report(
        snakemake.output[0],
        snakemake.config,
        read_json(snakemake.input.metrics),
        pd.read_csv(snakemake.input.recovery),
        observed,
        snakemake.input.figures,
        stage_costs(snakemake.params.benchmarks),
        # figures are made from all the rest
        steps(history(read_provenance(snakemake.input.figures[0]))),
    )
    for path in snakemake.output.captions:
        with atomic_path(path) as partial:
            partial.write_text(CAPTIONS[Path(path).stem] + "\n", encoding="utf-8")
    log.info("open %s in a browser", snakemake.output[0])
