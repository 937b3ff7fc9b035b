"""Simulate clusters on a grid over the prior, for posteriors that need no emulator."""

import numpy as np
import pandas as pd

from natal.campaign import plan
from natal.campaign.design import grid_points
from natal.files.formats import write_csv
from natal.running import device
from natal.running.jobs import script
from natal.simulation.conservation import check_runs
from natal.simulation.run import simulate
from natal.simulation.setup import Setup
from natal.variables import BIRTH, SUMMARIES

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config = snakemake.config
    section = config["checks"]["brute_force"]
    n = section["realizations"]
    points = pd.DataFrame(grid_points(plan.prior_box(config), section["grid"]), columns=list(BIRTH))
    points["point_id"] = plan.POINT_ID_OFFSET["brute_force"] + np.arange(len(points))
    log.info("%d points x %d realizations on %s", len(points), n, device.describe())
    table = points.loc[points.index.repeat(n)].reset_index(drop=True)
    table["realization"] = np.tile(np.arange(n), len(points))
    births = {"point_id": table.point_id, "realization": table.realization}
    setup = Setup.of_campaign(config, table.q0, table.a_au, **births)
    setup.check_memory(config["resources"]["max_memory_gb"], setup.integration.snapshots)
    runs = simulate(setup)
    check_runs(runs, points, n, setup.integration.max_energy_error)
    for name in (*SUMMARIES, "dissolved"):
        table[name] = runs.summaries[name][:, -1]
    write_csv(snakemake.output[0], table)
