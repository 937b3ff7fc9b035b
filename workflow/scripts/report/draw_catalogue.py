"""Draw the user's own clusters of which this or that is known: posteriors, and observables beside what they predict."""

import numpy as np
import xarray as xr

from natal.figures.observables import predictive
from natal.figures.posteriors import corner_case
from natal.figures.save import save_figures
from natal.files.formats import read_csv
from natal.likelihood.joint_network import load_joint
from natal.posterior.catalogue import PARAMETERS, Law, predicted
from natal.running.jobs import script

with script(snakemake, cpu_devices=1):
    files, config = snakemake.input, snakemake.config
    observed = read_csv(files.observed)
    law = Law(*load_joint(files.law)[:2], snakemake.params.prior)
    figures = {}
    with xr.open_datatree(files.posteriors, engine="h5netcdf") as tree:
        posterior = tree["posterior"].to_dataset()
        for k in range(min(len(observed), config["report"]["corner_cases"])):
            row = observed.iloc[k]
            draws = np.column_stack([posterior[name][k].values.ravel() for name in PARAMETERS])
            prior = {"q0": law.q0, "a_au": (row.prior_a_au_low, row.prior_a_au_high)}
            figures[f"observed_{k}"] = corner_case(draws[:, :2], None, prior, row["case"])
            seen = predicted(config["seed"], law, draws)
            figures[f"predictive_{k}"] = predictive(row.to_dict(), seen, row["case"])
    save_figures(snakemake.output, figures)
