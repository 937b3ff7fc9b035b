"""Tabulate the metrics of all finished campaigns."""

from natal.files.atomic import atomic_path
from natal.files.formats import write_csv
from natal.report.compare import comparison
from natal.running.jobs import script

with script(snakemake) as log:
    table = comparison(snakemake.params.results)
    write_csv(snakemake.output.table, table)
    with atomic_path(snakemake.output.text) as partial:
        partial.write_text(table.to_string(index=False, float_format="%.5g", na_rep="-") + "\n", encoding="utf-8")
    log.info("%d campaigns, %d numbers", len(table.columns) - 1, len(table))
