"""Draw how well the posteriors of clusters drawn from the prior are calibrated."""

from typing import TYPE_CHECKING

import pandas as pd

from natal.figures.calibration import campaign_figures
from natal.figures.save import save_figures
from natal.files.formats import read_json
from natal.running.jobs import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0], snakemake):
    files = snakemake.input
    drawn = campaign_figures(pd.read_csv(files.calibration), read_json(files.metrics)["calibration"])
    save_figures(snakemake.output, drawn)
