"""Cut the table of runs into one file for each split, so that the rules show which of them read test rows."""

import pandas as pd

from natal.data.runs import split_table
from natal.files.formats import write_csv
from natal.running.jobs import script

with script(snakemake) as log:
    for split, table in split_table(pd.read_csv(snakemake.input[0])).items():
        write_csv(snakemake.output[split], table)
        log.info("%s: %d runs at %d points", split, len(table), table.point_id.nunique())
