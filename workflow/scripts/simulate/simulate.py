"""Simulate every realization of one shard's points."""

import json
import time
from pathlib import Path

import numpy as np

from natal.campaign.design import design_files, make_design
from natal.provenance.environment import computed_by, made_by
from natal.running import device
from natal.running.jobs import script
from natal.simulation.checkpoint import Checkpoint
from natal.simulation.conservation import check_runs
from natal.simulation.cost import SNAPSHOTS_HELD, interactions
from natal.simulation.resume import EarlierRuns
from natal.simulation.run import simulate
from natal.simulation.setup import Setup
from natal.simulation.shard_files import write_shard
from natal.simulation.shard_format import EARLIER
from natal.variables import BIRTH

output = Path(snakemake.output[0])

with script(snakemake, cpu_devices=snakemake.threads, reads=design_files(snakemake.config)) as log:
    started_unix_s, started = time.time(), time.perf_counter()
    config = snakemake.config
    first_realization, n_realizations = snakemake.params.realizations
    design = make_design(config)
    points = design[design.point_id.isin(snakemake.params.point_ids)]
    setup = Setup.of_campaign(
        config,
        *(np.repeat(points[name].to_numpy(), n_realizations) for name in BIRTH),
        point_id=np.repeat(points.point_id.to_numpy(), n_realizations),
        realization=np.tile(first_realization + np.arange(n_realizations), len(points)),
    )
    integration = setup.integration
    setup.check_memory(config["resources"]["max_memory_gb"], SNAPSHOTS_HELD)
    log.info("%d points x %d realizations on %s", len(points), n_realizations, device.describe())

    made_with = computed_by(snakemake.params.digest, device.kind())
    earlier = EarlierRuns.find(output.with_suffix(EARLIER), snakemake.params.stem, integration.dt_yr)
    with Checkpoint(output.with_suffix(".checkpoint"), made_with) as checkpoint:
        runs = simulate(setup, checkpoint=checkpoint, earlier=earlier)
        allowed = integration.max_energy_error
        check_runs(runs, points, n_realizations, allowed, first_realization=first_realization)

        work = interactions(setup.n_runs, setup.cluster.n_stars, integration.n_steps)
        attributes = made_by(snakemake.params.digest) | {
            "stem": snakemake.params.stem,
            "config": json.dumps(
                {key: config[key] for key in ("campaign", "seed", "cluster", "integration", "design")}
            ),
            "units": "AU, Msun, yr; G = 4 pi^2",
            "device": device.describe(),
            "threads": snakemake.threads,
            "interactions": work,
            "compile_time_s": runs.timing_s["compile"],
            "integrate_time_s": runs.timing_s["integrate"],
            "started_unix_s": started_unix_s,
            "wall_time_s": time.perf_counter() - started,
        }
        write_shard(output, points, n_realizations, runs, attributes, first_realization=first_realization)
    compile_s, integrate_s = runs.timing_s["compile"], runs.timing_s["integrate"]
    said = compile_s, integrate_s, work / integrate_s / 1e9, runs.energy_error.max()
    log.info("compiled in %.1f s, integrated in %.1f s (%.2f Gint/s), largest energy error %.2g", *said)
