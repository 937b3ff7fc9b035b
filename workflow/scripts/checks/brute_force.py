"""Compare the emulator's posteriors of a few test clusters with those from simulations alone."""

import h5py
import numpy as np
import pandas as pd

from natal.assessment.brute_force import compare_with_emulator
from natal.assessment.cases import cases_for_simulation
from natal.assessment.local_laws import KERNELS, simulated_runs
from natal.campaign import plan
from natal.data.runs import read_runs
from natal.files.atomic import atomic_path
from natal.files.formats import write_csv, write_json
from natal.likelihood.loading import load_likelihood
from natal.provenance.environment import made_by
from natal.running.jobs import script

with script(snakemake, cpu_devices=1) as log:
    config, files = snakemake.config, snakemake.input
    prior, n_stars = plan.prior_box(config), config["cluster"]["n_stars"]
    likelihood = load_likelihood(files.ensemble, files.likelihood, plan.box(config))
    test = read_runs(files.test, "test").within(prior)
    chosen = test.at(cases_for_simulation(test, config["checks"]["brute_force"]["cases"]))
    runs = simulated_runs(pd.read_csv(files.runs), n_stars)
    found = compare_with_emulator(runs, likelihood, prior, chosen, n_stars)
    write_csv(snakemake.output.table, found.table)
    with atomic_path(snakemake.output.posteriors) as partial, h5py.File(partial, "w") as file:
        file.attrs.update(made_by(snakemake.params.digest))
        file["q0"], file["a_au"] = found.q0, found.a_au
        for source in ("emulator", *KERNELS):
            file[source] = np.exp(getattr(found, source))
            file[source].attrs["what"] = "share of the posterior in each cell: (case, q0, a_au)"
    write_json(snakemake.output.metrics, {"brute_force": found.report})
    for kernel in KERNELS:
        part = found.report[kernel]
        said = kernel, part["tv_median"], found.report["n_cases"], part["noise_median"]
        log.info("%s: total variation to the emulator's %.3f (median of %d cases), %.3f from too few runs", *said)
