"""Follow the same fresh clusters with the campaign's step and softening, and with half of them."""

import numpy as np
import pandas as pd

from natal.assessment.numerical import variants
from natal.campaign import plan
from natal.campaign.design import prior_draws
from natal.files.formats import write_csv
from natal.running import device
from natal.running.jobs import script
from natal.simulation.run import simulate
from natal.simulation.setup import Setup
from natal.variables import BIRTH, SUMMARIES

# behind those of trust_runs.py
FIRST_ID = (len(plan.POINT_ID_OFFSET) + 1) * plan.MAX_POINTS_PER_SPLIT

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config = snakemake.config
    n = config["checks"]["numerical"]["draws"]
    births = prior_draws(n, plan.prior_box(config), np.random.default_rng([config["seed"], FIRST_ID]))
    clusters = pd.DataFrame(births, columns=list(BIRTH)).assign(point_id=FIRST_ID + np.arange(n))
    tables = []
    for name, changed in variants(config).items():
        log.info("%s: %d clusters on %s", name, n, device.describe())
        setup = Setup.of_campaign(changed, clusters.q0, clusters.a_au, point_id=clusters.point_id)
        setup.check_memory(config["resources"]["max_memory_gb"], setup.integration.snapshots)
        runs = simulate(setup)
        outcome = {summary: runs.summaries[summary][:, -1] for summary in (*SUMMARIES, "dissolved")}
        tables.append(clusters.assign(variant=name, **outcome, energy_error=runs.energy_error))
    write_csv(snakemake.output[0], pd.concat(tables))
