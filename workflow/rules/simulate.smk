# simulations/<shard>.h5: the N-body runs; summaries.csv: one row for each of them.


@cache
def shard_digest(name):
    # The shard's own points, not the whole design: another block or an edited row leaves this shard alone. They are
    # parameters, not a file: Snakemake 9.27 does not look at a job behind an `ancient` input that is to be remade.
    return digest("simulate.py", "seed", "cluster", "integration", **shard_runs(name))


@cache
def shard_stem(name):
    """What the clusters are, and how they are followed, but not until when: shards of one stem share their beginning."""
    keys = "seed", "cluster", "integration.dt_yr", "integration.precision"
    # short: a seal has room for few bytes
    return sha256(digest("simulate.py", *keys, **shard_runs(name)).encode()).hexdigest()[:16]


def shard_runs(name):
    shard = SHARDS[name]
    points, realizations = campaign.shard_recipe(config, shard), [shard.first_realization, shard.n_realizations]
    return {"points": points, "ids": shard.point_ids, "realizations": realizations}


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


rule simulate:
    output:
        SIMULATIONS / "{shard}.h5",
    log:
        LOGS / "simulate" / "{shard}.log",
    benchmark:
        LOGS / "simulate" / "{shard}.benchmark.tsv"
    params:
        digest=lambda wildcards: shard_digest(wildcards.shard),
        stem=lambda wildcards: shard_stem(wildcards.shard),
        point_ids=lambda wildcards: SHARDS[wildcards.shard].point_ids,
        realizations=lambda wildcards: shard_runs(wildcards.shard)["realizations"],
        cache=str(COMPILE_CACHE),
    threads: shard_threads
    resources:
        mem_mb=shard_memory_mb,
        runtime=shard_runtime_min,
    message:
        "Simulate {wildcards.shard}"
    script:
        "../scripts/simulate.py"


rule summaries:
    localrule: True
    input:
        design=RESULTS / "design.csv",
        shards=expand(SIMULATIONS / "{shard}.h5", shard=SHARDS),
    output:
        table=RESULTS / "summaries.csv",
        tracks=RESULTS / "tracks.csv",
        metrics=RESULTS / "metrics" / "simulation.json",
    log:
        LOGS / "summaries.log",
    params:
        digest=digest("summaries.py"),
        shard_digests=lambda wildcards: [shard_digest(name) for name in SHARDS],
    message:
        "Gather the summaries of all runs"
    script:
        "../scripts/summaries.py"
