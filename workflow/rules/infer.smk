# Recovery of (Q0, a) and the final evaluation: with uncertainty.smk the only rules that read test rows (dataset/test.csv)
# and the calibration draws (dataset/calibration.csv).

# what metrics.json is put together from
PARTS = ["simulation", "training", "density", "evaluation", "recovery", *CALIBRATED, "speed", "uncertainty", *CHECKED]


rule recover:
    input: **LIKELIHOOD, **dataset("test")
    output:
        posteriors=RESULTS / "posteriors.nc",
        table=shown(RESULTS / "recovery.csv", "Recovery", table="recovery"),
        metrics=RESULTS / "metrics" / "recovery.json",
    log: LOGS / "recover.log"
    benchmark: LOGS / "recover.benchmark.tsv"
    params: digest=digest("infer/recover.py", *INFERENCE_KEYS, box=BOX, prior=PRIOR)
    threads: one_to_four
    # simulations and figures wait for it
    priority: 1
    resources: **growing(mem_mb=8000, runtime=120)
    message: "Recover the birth conditions of every test cluster"
    script: "../scripts/infer/recover.py"


if CALIBRATED:

    rule calibrate:
        input: **LIKELIHOOD, **dataset("calibration")
        output:
            table=shown(RESULTS / "calibration.csv", "Calibration", table="calibration"),
            metrics=RESULTS / "metrics" / "calibration.json",
        log: LOGS / "calibrate.log"
        benchmark: LOGS / "calibrate.benchmark.tsv"
        params:
            digest=digest(
                "infer/calibrate.py",
                *CALIBRATE_KEYS,
                "inference.calibration_draws",
                "inference.calibration_nuts",
                box=BOX,
                prior=PRIOR,
            ),
        threads: one_to_four
        # before figures, which fill what is left of the cores
        priority: 1
        resources: **growing(mem_mb=8000, runtime=120)
        message: "Check posteriors of clusters drawn from the prior"
        script: "../scripts/infer/calibrate.py"


if not IS_CATALOGUE:

    rule observe:
        input: **LIKELIHOOD, observations=observations_file
        output: posteriors=RESULTS / "observed.nc", table=shown(RESULTS / "observed.csv", "Own clusters", table="observed")
        log: LOGS / "observe.log"
        benchmark: LOGS / "observe.benchmark.tsv"
        params: digest=digest("infer/observe.py", *OBSERVE_KEYS, box=BOX, prior=PRIOR, clusters=OWN_CLUSTERS)
        threads: 2
        resources: **answering(len(OWN_CLUSTERS))
        message: "Recover the birth conditions of your own clusters"
        script: "../scripts/infer/observe.py"


rule evaluate:
    input: **dataset("train", "test"), ensemble=LIKELIHOOD["ensemble"]
    output: RESULTS / "metrics" / "evaluation.json"
    log: LOGS / "evaluate.log"
    benchmark: LOGS / "evaluate.benchmark.tsv"
    params: digest=digest("infer/evaluate.py", box=BOX)
    resources: **growing(mem_mb=4000, runtime=30)
    message: "Evaluate the emulator and its baselines on the test runs"
    script: "../scripts/infer/evaluate.py"


rule speed:
    input: **LIKELIHOOD
    output: RESULTS / "metrics" / "speed.json"
    log: LOGS / "speed.log"
    benchmark: LOGS / "speed.benchmark.tsv"
    params: digest=digest("infer/speed.py", "cluster", "integration", "likelihood", box=BOX)
    threads: all_cores
    # early: the figure that waits for it is then drawn beside other jobs
    priority: 2
    resources: **growing(mem_mb=4000, runtime=30)
    message: "Measure the cost of a simulation and of the emulator"
    script: "../scripts/infer/speed.py"


rule metrics:
    localrule: True
    input: **{part: RESULTS / "metrics" / f"{part}.json" for part in PARTS}, likelihood=LIKELIHOOD["likelihood"]
    output: shown(RESULTS / "metrics.json", "Summary", file="metrics")
    log: LOGS / "metrics.log"
    params:
        digest=digest("infer/metrics.py"),
        # own clusters and figures come later
        benchmarks={stage: files for stage, files in BENCHMARKS.items() if stage not in ("observe", "observables", "joint", "figures")},
    message: "Gather every number of the campaign"
    script: "../scripts/infer/metrics.py"
