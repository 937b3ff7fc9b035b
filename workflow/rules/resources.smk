# Memory, time and cores that jobs ask for.
from math import ceil

from natal.campaign.inventory import remembered_gint_per_s
from natal.posterior import cost as answers
from natal.running.snakemake_internals import asks_for_gpu, is_job
from natal.simulation.cost import DEFAULT_GINT_PER_S, GPU_HOST_BYTES, WORKFLOW_BYTES, memory_bytes, runs_in_minutes
from natal.simulation.cost import runtime_minutes


def growing(**amounts):
    """Resources that grow with every attempt: what was too little is not asked for again."""

    def times(amount):
        return lambda wildcards, attempt: amount * attempt

    return {name: times(amount) for name, amount in amounts.items()}


def simulating(rule, n_runs):
    """What a job asks for that simulates clusters beside those of the design."""

    def mem_mb(wildcards, attempt, threads):
        return attempt * memory_mb(n_runs, threads, host_bytes(rule))

    return {"mem_mb": mem_mb, **growing(runtime=runtime_min(rule, n_runs))}


def answering(n_clusters):
    """What a job asks for that recovers so many clusters."""
    n_draws = config["inference"]["chains"] * config["inference"]["draws"]
    return growing(mem_mb=answers.memory_mb(n_clusters, n_draws), runtime=answers.runtime_min(n_clusters))


def memory_mb(n_runs, threads, more_bytes):
    batch = config["integration"]["clusters_per_batch"]
    simulating = memory_bytes(n_runs, config["cluster"]["n_stars"], clusters_per_batch=batch, n_devices=threads)
    return ceil((WORKFLOW_BYTES + 1.3 * simulating + more_bytes) / 1e6)


def runtime_min(rule, n_runs):
    integration = config["integration"]
    n_steps = round(integration["t_end_yr"] / integration["dt_yr"])
    n_stars, batch = config["cluster"]["n_stars"], integration["clusters_per_batch"]
    return runtime_minutes(n_runs, n_stars, n_steps, gint_per_s(rule), batch)


@cache
def runs_in_time():
    """Clusters of a job of `design.job_minutes`; asked for blocks only that were not cut yet."""
    integration, resources = config["integration"], config["resources"]
    n_steps = round(integration["t_end_yr"] / integration["dt_yr"])
    speed = resources["gint_per_s"] or remembered_gint_per_s(SIMULATIONS) or DEFAULT_GINT_PER_S
    max_bytes = 1e9 * resources["max_memory_gb"]
    n_stars, batch = config["cluster"]["n_stars"], integration["clusters_per_batch"]
    return runs_in_minutes(config["design"]["job_minutes"], n_stars, n_steps, speed, max_bytes, batch)


def host_bytes(rule):
    """What a GPU takes of the host's memory, if the rule's jobs ask for one."""
    return GPU_HOST_BYTES * asks_for_gpu(workflow, rule)


def shard_memory_mb(wildcards, attempt, threads):
    return attempt * memory_mb(SHARDS[wildcards.shard].n_runs, threads, host_bytes("simulate"))


def shard_runtime_min(wildcards, attempt):
    # what a shorter job leaves undone, the next attempt goes on with
    return min(attempt * runtime_min("simulate", SHARDS[wildcards.shard].n_runs), config["resources"]["max_runtime_min"])


def shard_threads(wildcards):
    """Side by side where there are shards enough for all cores, else each on several (a cluster's profile sets it)."""
    return max(1, workflow.cores // len(SHARDS))


def has_few_cores():
    """Whether jobs side by side, on a core each, end sooner than one after the other on all."""
    cores = workflow.resource_settings.cores
    return cores is not None and cores < 4


def one_to_four(wildcards):
    """One where there are few, else a quarter of all, two to four (a cluster's profile sets it)."""
    return 1 if has_few_cores() else min(max(2, (workflow.resource_settings.cores or 0) // 4), 4)


def one_or_all(wildcards):
    """One where there are few, beside which other jobs run, else all (a cluster's profile sets it)."""
    return 1 if has_few_cores() else all_cores(wildcards)


def all_cores(wildcards):
    """So that nothing else runs beside (a cluster's profile sets it)."""
    return workflow.cores


@cache
def gint_per_s(rule):
    """The configured speed of a job, else the lowest one measured on this campaign's finished shards, else a guess.

    The first two are of a simulate job: where that has a GPU and the rule's jobs have none, the guess is left.
    """
    if asks_for_gpu(workflow, rule) != asks_for_gpu(workflow, "simulate"):
        return DEFAULT_GINT_PER_S
    # a job has got its time already, and looks at nobody else's shard
    measured = None if is_job(workflow) else remembered_gint_per_s(SIMULATIONS)
    return config["resources"]["gint_per_s"] or measured or DEFAULT_GINT_PER_S
