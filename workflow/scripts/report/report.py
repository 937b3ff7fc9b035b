"""Write the campaign's report, one self-contained file, and the figures' captions for `snakemake --report`."""

from pathlib import Path

from natal.files.atomic import atomic_path
from natal.files.formats import read_csv, read_json
from natal.provenance.lineage import history, read_origin, steps
from natal.report.page import CAPTIONS, write_report
from natal.running.job_costs import stage_costs
from natal.running.jobs import script

with script(snakemake) as log:
    observed = read_csv(snakemake.input.observed[0]) if snakemake.input.observed else None
    population = None
    if snakemake.input.population:
        table, told = snakemake.input.population
        population = read_json(told)["population"] | {"laws": read_csv(table).to_dict("records")}
    write_report(
        snakemake.output[0],
        snakemake.config,
        read_json(snakemake.input.metrics),
        read_csv(snakemake.input.recovery),
        observed,
        snakemake.input.figures,
        population,
        read_json(snakemake.input.law),
        stage_costs(snakemake.params.benchmarks),
        steps(history(*map(read_origin, [snakemake.input.metrics, *snakemake.input.figures]))),
    )
    for path in snakemake.output.captions:
        with atomic_path(path) as partial:
            partial.write_text(CAPTIONS[Path(path).stem] + "\n", encoding="utf-8")
    log.info("open %s in a browser", snakemake.output[0])
