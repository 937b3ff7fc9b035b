"""Measure what one simulation and one emulator evaluation cost on one core of this machine."""

from typing import TYPE_CHECKING

from natal import campaign, device
from natal.cost import batch_size
from natal.files import write_json
from natal.inputs import load_likelihood
from natal.jobs import job
from natal.simulator import ClusterModel, Integration
from natal.speed import time_emulator, time_simulation

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0], snakemake) as log:
    # the job reserves all cores, so that nothing runs beside it, and measures on one
    device.set_up(threads=1, cache_folder=snakemake.params.cache)
    config = snakemake.config
    box = campaign.box(config)
    cluster = ClusterModel.from_config(config["cluster"])
    integration = Integration.from_config(config["integration"])
    q0, a_au = (sum(box[name]) / 2 for name in ("q0", "a_au"))
    batch = batch_size(cluster.n_stars, on_cpu=device.on_cpu(), n_runs=campaign.runs_per_job(config))
    seconds = {
        "simulation_alone_s": time_simulation(cluster, integration, q0, a_au),
        "simulation_batched_s": time_simulation(cluster, integration, q0, a_au, batch),
    }
    seconds |= time_emulator(load_likelihood(snakemake.input.ensemble, snakemake.input.likelihood, box), box)
    write_json(snakemake.output[0], {"device": device.describe(), **seconds})
    for name, value in seconds.items():
        log.info("%s: %.3g", name, value)
