"""Draw how well the posteriors of clusters drawn from the prior are calibrated."""

import pandas as pd

from natal.figures.calibration import campaign_figures
from natal.figures.save import save_figures
from natal.files.formats import read_json
from natal.running.jobs import script

with script(snakemake):
    files = snakemake.input
    drawn = campaign_figures(pd.read_csv(files.calibration), read_json(files.metrics)["calibration"])
    save_figures(snakemake.output, drawn)
