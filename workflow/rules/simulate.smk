# simulations/<shard>.h5: the N-body runs; summaries.csv: one row for each of them.


rule simulate:
    output: SIMULATIONS / "{shard}.h5"
    log: LOGS / "simulate" / "{shard}.log"
    benchmark: LOGS / "simulate" / "{shard}.benchmark.tsv"
    params:
        digest=lambda wildcards: shard_digest(wildcards.shard),
        stem=lambda wildcards: shard_stem(wildcards.shard),
        point_ids=lambda wildcards: SHARDS[wildcards.shard].point_ids,
        realizations=lambda wildcards: shard_runs(wildcards.shard)["realizations"],
    threads: shard_threads
    resources: mem_mb=shard_memory_mb, runtime=shard_runtime_min
    message: "Simulate {wildcards.shard}"
    script: "../scripts/simulate/simulate.py"


rule summaries:
    localrule: True
    input: design=RESULTS / "design.csv", shards=[SIMULATIONS / f"{shard}.h5" for shard in SHARDS]
    output:
        table=shown(RESULTS / "summaries.csv", "Simulations", table="summaries"),
        tracks=RESULTS / "tracks.csv",
        metrics=RESULTS / "metrics" / "simulation.json",
    log: LOGS / "summaries.log"
    # files are read side by side
    threads: 4
    params:
        digest=digest("simulate/summaries.py"),
        shard_digests=lambda wildcards: [shard_digest(name) for name in SHARDS],
    message: "Gather the summaries of all runs"
    script: "../scripts/simulate/summaries.py"
