"""Measure what one simulation and one emulator evaluation cost on one core of this machine."""

from natal.assessment.speed import time_emulator, time_simulation
from natal.campaign import plan
from natal.files.formats import write_json
from natal.likelihood.loading import load_likelihood
from natal.running import device
from natal.running.jobs import script
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.cost import batch_size

with script(snakemake) as log:
    # the job reserves all cores, so that nothing runs beside it, and measures on one
    device.set_up(threads=1)
    config = snakemake.config
    box = plan.box(config)
    cluster = ClusterModel(**config["cluster"])
    integration = Integration(**config["integration"])
    q0, a_au = (sum(box[name]) / 2 for name in ("q0", "a_au"))
    batch = batch_size(
        cluster.n_stars,
        on_cpu=device.on_cpu(),
        n_runs=plan.runs_per_job(config),
        clusters_per_batch=integration.clusters_per_batch,
    )
    seconds = {
        "simulation_alone_s": time_simulation(cluster, integration, q0, a_au),
        "simulation_batched_s": time_simulation(cluster, integration, q0, a_au, batch),
    }
    seconds |= time_emulator(load_likelihood(snakemake.input.ensemble, snakemake.input.likelihood, box), box)
    write_json(snakemake.output[0], {"device": device.describe(), **seconds})
    for name, value in seconds.items():
        log.info("%s: %.3g", name, value)
