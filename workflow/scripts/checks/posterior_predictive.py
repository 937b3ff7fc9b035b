"""Simulate clusters born as a few posteriors say and compare them with the observed ones."""

import numpy as np
import xarray as xr

from natal.assessment.cases import cases_for_simulation
from natal.assessment.posterior_predictive import check_cases, predictive_report, thinned
from natal.campaign import plan
from natal.data.runs import read_runs
from natal.files.formats import write_csv, write_json
from natal.running import device
from natal.running.jobs import script
from natal.simulation.run import simulate
from natal.simulation.setup import Setup
from natal.variables import BIRTH, SUMMARIES

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config = snakemake.config
    section, n_stars = config["checks"]["posterior_predictive"], config["cluster"]["n_stars"]
    test = read_runs(snakemake.input.test, "test")
    cases = cases_for_simulation(test, section["cases"])
    with xr.open_datatree(snakemake.input.posteriors, engine="h5netcdf") as tree:
        # cases are the test runs, in their order
        chosen = tree["posterior"].isel(case=cases)
        draws = np.stack([chosen[name].values for name in BIRTH], axis=-1)
    births = np.concatenate([thinned(one, section["draws"]) for one in draws])
    log.info("%d cases x %d draws on %s", len(cases), section["draws"], device.describe())
    point_id = plan.POINT_ID_OFFSET["posterior_predictive"] + np.arange(len(births))
    setup = Setup.of_campaign(config, *births.T, point_id=point_id)
    setup.check_memory(config["resources"]["max_memory_gb"], setup.integration.snapshots)
    runs = simulate(setup)
    replicated = np.stack([runs.summaries[name][:, -1] for name in SUMMARIES], axis=-1)
    table = check_cases(test.at(cases), replicated.reshape(len(cases), -1, len(SUMMARIES)), n_stars)
    write_csv(snakemake.output.table, table)
    report = predictive_report(table, section["draws"])
    write_json(snakemake.output.metrics, {"posterior_predictive": report})
    log.info("%d of %d cases with a joint p-value below 0.01", report["n_extreme"], report["n_cases"])
