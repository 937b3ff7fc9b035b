# simulations/<shard>.h5: the N-body runs; summaries.csv: one row for each of them.


def shard_digest(wildcards):
    # The shard's own points, not the whole design: another block or an edited row leaves this shard alone. They are
    # parameters, not a file: Snakemake 9.27 does not look at a job behind an `ancient` input that is to be remade.
    shard = SHARDS[wildcards.shard]
    return digest(
        "simulate.py",
        "seed",
        "cluster",
        "integration",
        "design.realizations",
        points=campaign.shard_recipe(config, shard),
        ids=shard.point_ids,
    )


def shard_memory_mb(wildcards, attempt):
    runs = SHARDS[wildcards.shard].n_points * config["design"]["realizations"]
    needed = memory_bytes(runs, config["cluster"]["n_stars"], config["integration"]["snapshots"])
    return round(1.3 * needed / 1e6) * attempt


rule simulate:
    output:
        RESULTS / "simulations" / "{shard}.h5",
    log:
        LOGS / "simulate" / "{shard}.log",
    benchmark:
        LOGS / "simulate" / "{shard}.benchmark.tsv"
    params:
        digest=shard_digest,
        point_ids=lambda wildcards: SHARDS[wildcards.shard].point_ids,
        cache=str(COMPILE_CACHE),
    # side by side where there are shards enough for all cores, else each on several
    threads: max(1, (workflow.cores or 1) // len(SHARDS))
    resources:
        mem_mb=shard_memory_mb,
        runtime=60,
    message:
        "Simulate {wildcards.shard}"
    script:
        "../scripts/simulate.py"


rule summaries:
    localrule: True
    input:
        design=RESULTS / "design.csv",
        shards=expand(RESULTS / "simulations" / "{shard}.h5", shard=SHARDS),
    output:
        table=RESULTS / "summaries.csv",
        metrics=RESULTS / "metrics" / "simulation.json",
    log:
        LOGS / "summaries.log",
    params:
        digest=digest("summaries.py"),
    message:
        "Gather the summaries of all runs"
    script:
        "../scripts/summaries.py"
