"""Draw the study's figures, as PNG and PDF."""

import pandas as pd

from natal.figures.save import save_figures
from natal.running.jobs import script
from natal.studies.planets import figures
from natal.studies.planets.names import SPLITS

with script(snakemake):
    everything = pd.concat([pd.read_csv(snakemake.input[split]) for split in SPLITS], ignore_index=True)
    drawn = {
        "spacing": figures.spacing(everything),
        "scores": figures.scores(pd.read_csv(snakemake.input.predictions), pd.read_csv(snakemake.input.depths)),
    }
    save_figures(snakemake.output, drawn)
