"""Draw the comparison of uncertainty methods."""

import numpy as np
import pandas as pd

from natal.campaign import plan
from natal.data.runs import read_runs
from natal.emulator.ensemble import load_ensemble
from natal.figures.save import save_figures
from natal.figures.uncertainty_methods import comparison, widths
from natal.running.jobs import script

with script(snakemake, cpu_devices=1):
    files = snakemake.input
    ensemble = load_ensemble(files.ensemble, box=plan.box(snakemake.config))
    test = read_runs(files.test, "test")
    missed = test.y - np.asarray(ensemble(test.x)[0], dtype=float)
    drawn = {
        "uncertainty": comparison(pd.read_csv(files.comparison)),
        "uncertainty_widths": widths(pd.read_csv(files.widths), test.x, missed),
    }
    save_figures(snakemake.output, drawn)
