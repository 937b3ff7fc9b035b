"""Simulate fresh clusters drawn from the prior, which nothing before has seen."""

import numpy as np
import pandas as pd

from natal.campaign import plan
from natal.campaign.design import prior_draws
from natal.files.formats import write_csv
from natal.running import device
from natal.running.jobs import script
from natal.simulation.conservation import check_runs
from natal.simulation.run import simulate
from natal.simulation.setup import Setup
from natal.variables import BIRTH, SUMMARIES

# after the ids of all splits and other checks
FIRST_ID = len(plan.POINT_ID_OFFSET) * plan.MAX_POINTS_PER_SPLIT

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config = snakemake.config
    n = config["checks"]["trust"]["draws"]
    births = prior_draws(n, plan.prior_box(config), np.random.default_rng([config["seed"], FIRST_ID]))
    table = pd.DataFrame(births, columns=list(BIRTH)).assign(point_id=FIRST_ID + np.arange(n), realization=0)
    log.info("%d clusters on %s", n, device.describe())
    setup = Setup.of_campaign(config, table.q0, table.a_au, point_id=table.point_id)
    setup.check_memory(config["resources"]["max_memory_gb"], setup.integration.snapshots)
    runs = simulate(setup)
    check_runs(runs, table, 1, setup.integration.max_energy_error)
    for name in (*SUMMARIES, "dissolved"):
        table[name] = runs.summaries[name][:, -1]
    write_csv(snakemake.output[0], table.assign(split="trust"))
