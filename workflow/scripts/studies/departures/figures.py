"""Draw the study's figures, as PNG and PDF."""

import pandas as pd

from natal.figures.save import save_figures
from natal.running.jobs import script
from natal.studies.departures import figures

with script(snakemake):
    table, laws = (pd.read_csv(snakemake.input[name]) for name in ("table", "laws"))
    save_figures(snakemake.output, {"table": figures.table(table), "laws": figures.laws(laws)})
