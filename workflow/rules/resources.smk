# Memory, time and cores that jobs ask for.
from math import ceil

from natal.simulation.cost import GPU_HOST_BYTES, WORKFLOW_BYTES, memory_bytes, runtime_minutes
from natal.simulation.cost import DEFAULT_GINT_PER_S
from natal.campaign.inventory import measured_gint_per_s


def growing(amount):
    """A resource that grows with every attempt: what was too little is not asked for again."""
    return lambda wildcards, attempt: amount * attempt


def shard_memory_mb(wildcards, attempt):
    needed = memory_bytes(SHARDS[wildcards.shard].n_runs, config["cluster"]["n_stars"])
    return attempt * ceil((WORKFLOW_BYTES + 1.3 * needed + GPU_HOST_BYTES * simulates_on_gpu()) / 1e6)


def simulates_on_gpu():
    """Whether the profile or the command line gives the jobs a GPU."""
    gpu = workflow.resource_settings.overwrite_resources.get("simulate", {}).get("gpu")
    return gpu is not None and gpu.raw != 0


def shard_threads(wildcards):
    """Side by side where there are shards enough for all cores, else each on several (a cluster's profile sets it)."""
    return max(1, workflow.cores // len(SHARDS))


@cache
def gint_per_s():
    """The configured speed of a job, else the lowest one measured on this campaign's finished shards, else a guess."""
    measured = measured_gint_per_s(SIMULATIONS, SHARDS.values())
    return config["resources"]["gint_per_s"] or measured or DEFAULT_GINT_PER_S


def shard_runtime_min(wildcards, attempt):
    integration = config["integration"]
    n_steps = round(integration["t_end_yr"] / integration["dt_yr"])
    wanted = attempt * runtime_minutes(SHARDS[wildcards.shard].n_runs, config["cluster"]["n_stars"], n_steps, gint_per_s())
    # what a shorter job leaves undone, the next attempt goes on with
    return min(wanted, config["resources"]["max_runtime_min"])


def check_memory_mb(n_runs):
    needed = memory_bytes(n_runs, config["cluster"]["n_stars"])
    return growing(ceil((WORKFLOW_BYTES + 1.3 * needed) / 1e6))


def check_runtime_min(n_runs):
    integration = config["integration"]
    n_steps = round(integration["t_end_yr"] / integration["dt_yr"])
    return growing(runtime_minutes(n_runs, config["cluster"]["n_stars"], n_steps, gint_per_s()))
