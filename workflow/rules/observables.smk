# What observers see of stored snapshots, and the law of it, for clusters of which less is known than the summaries.
# Of the campaign only the report waits for these, and of the report only draw_emulator.


rule observables:
    localrule: True
    input:
        design=RESULTS / "design.csv",
        shards=[SIMULATIONS / f"{shard}.h5" for shard in SHARDS],
        # every shard was read and found whole
        summaries=RESULTS / "summaries.csv",
    output: table=RESULTS / "observables.csv", snapshots=SNAPSHOTS
    log: LOGS / "observables.log"
    benchmark: LOGS / "observables.benchmark.tsv"
    # files are read side by side
    threads: 4
    params: digest=digest("observables/observables.py", "observables.aperture")
    message: "See all snapshots along three lines of sight"
    script: "../scripts/observables/observables.py"


rule joint:
    input: snapshots=SNAPSHOTS, summaries=splits_needed
    output: **LAW, metrics=RESULTS / "metrics" / "joint.json"
    log: LOGS / "joint.log"
    benchmark: LOGS / "joint.benchmark.tsv"
    params: digest=digest("observables/joint.py", "seed", "density", "cluster.n_stars", box=BOX), box=BOX
    threads: 1
    resources: **growing(mem_mb=6000, runtime=60)
    message: "Train the law of observables"
    script: "../scripts/observables/joint.py"


if CALIBRATED:

    rule check_observables:
        input: **LAW, snapshots=SNAPSHOTS, summaries=splits_needed
        output:
            worth=RESULTS / "checks" / "observables.csv",
            mocks=RESULTS / "checks" / "observables_mocks.csv",
            metrics=RESULTS / "metrics" / "observables.json",
            figure=pictures(RESULTS / "figures", "observables_worth"),
        log: LOGS / "check_observables.log"
        benchmark: LOGS / "check_observables.benchmark.tsv"
        params: digest=digest("observables/check_observables.py", "seed", "observables.mocks")
        threads: 2
        resources: **growing(mem_mb=8000, runtime=240)
        message: "Say what observables are worth and whether answers from them can be trusted"
        script: "../scripts/observables/check_observables.py"


if IS_CATALOGUE:

    rule catalogue:
        input: **LAW, observations=observations_file
        output: posteriors=RESULTS / "observed.nc", table=shown(RESULTS / "observed.csv", "Own clusters", table="observed")
        log: LOGS / "observe.log"
        benchmark: LOGS / "observe.benchmark.tsv"
        params:
            digest=digest("observables/catalogue.py", *CATALOGUE_KEYS, prior=OBSERVED_PRIOR, clusters=OWN_CLUSTERS),
            prior=OBSERVED_PRIOR,
        threads: 2
        resources: **answering(len(OWN_CLUSTERS))
        message: "Recover the birth conditions of your own clusters from what is known of each"
        script: "../scripts/observables/catalogue.py"
