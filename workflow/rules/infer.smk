# Recovery of (Q0, a) and the final evaluation: with uncertainty.smk the only rules that read test rows (dataset/test.csv)
# and the calibration draws (dataset/calibration.csv).

CHECK_METRICS = {name: RESULTS / "metrics" / f"{name}.json" for name, part in config["checks"].items() if part["cases"]}
SAMPLER_KEYS = ["chains", "warmup", "target_accept", "max_tree_depth", "cases_per_batch"]
CALIBRATE_KEYS = ["seed", "likelihood", "inference.grid", *(f"inference.{key}" for key in SAMPLER_KEYS)]
INFERENCE_KEYS = [*CALIBRATE_KEYS, "inference.draws"]
CALIBRATION_METRICS = {"calibration": RESULTS / "metrics" / "calibration.json"} if CALIBRATION_RUNS else {}


rule recover:
    input:
        ensemble=RESULTS / "emulator" / "ensemble.eqx",
        likelihood=RESULTS / "emulator" / "likelihood.json",
        test=RESULTS / "dataset" / "test.csv",
    output:
        posteriors=RESULTS / "posteriors.nc",
        table=shown(RESULTS / "recovery.csv", "../report/recovery.rst", "3 Recovery", table="recovery"),
        metrics=RESULTS / "metrics" / "recovery.json",
    log:
        LOGS / "recover.log",
    benchmark:
        LOGS / "recover.benchmark.tsv"
    params:
        digest=digest("infer/recover.py", *INFERENCE_KEYS, box=plan.box(config), prior=plan.prior_box(config)),
        cache=str(COMPILE_CACHE),
    threads: 2
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    message:
        "Recover the birth conditions of every test cluster"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/infer/recover.py"


if CALIBRATION_RUNS:

    rule calibrate:
        input:
            ensemble=RESULTS / "emulator" / "ensemble.eqx",
            likelihood=RESULTS / "emulator" / "likelihood.json",
            **CALIBRATION_RUNS,
        output:
            table=shown(CALIBRATION_TABLE[0], "../report/calibration.rst", "4 Calibration", table="calibration"),
            **CALIBRATION_METRICS,
        log:
            LOGS / "calibrate.log",
        benchmark:
            LOGS / "calibrate.benchmark.tsv"
        params:
            digest=digest(
                "infer/calibrate.py",
                *CALIBRATE_KEYS,
                "inference.calibration_draws",
                box=plan.box(config),
                prior=plan.prior_box(config),
            ),
            cache=str(COMPILE_CACHE),
        threads: 2
        resources:
            mem_mb=growing(8000),
            runtime=growing(120),
        message:
            "Check posteriors of clusters drawn from the prior"
        conda:
            "../envs/natal.yaml"
        script:
            "../scripts/infer/calibrate.py"


rule observe:
    input:
        ensemble=RESULTS / "emulator" / "ensemble.eqx",
        likelihood=RESULTS / "emulator" / "likelihood.json",
        observations=observations_file,
    output:
        posteriors=RESULTS / "observed.nc",
        table=shown(RESULTS / "observed.csv", "../report/observed.rst", "7 Own clusters", table="observed"),
    log:
        LOGS / "observe.log",
    benchmark:
        LOGS / "observe.benchmark.tsv"
    params:
        digest=digest("infer/observe.py", *INFERENCE_KEYS, box=plan.box(config), prior=plan.prior_box(config)),
        cache=str(COMPILE_CACHE),
    threads: 2
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    message:
        "Recover the birth conditions of your own clusters"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/infer/observe.py"


rule evaluate:
    input:
        ensemble=RESULTS / "emulator" / "ensemble.eqx",
        train=RESULTS / "dataset" / "train.csv",
        test=RESULTS / "dataset" / "test.csv",
    output:
        RESULTS / "metrics" / "evaluation.json",
    log:
        LOGS / "evaluate.log",
    benchmark:
        LOGS / "evaluate.benchmark.tsv"
    params:
        digest=digest("infer/evaluate.py", box=plan.box(config)),
        cache=str(COMPILE_CACHE),
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    message:
        "Evaluate the emulator and its baselines on the test runs"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/infer/evaluate.py"


rule speed:
    input:
        ensemble=RESULTS / "emulator" / "ensemble.eqx",
        likelihood=RESULTS / "emulator" / "likelihood.json",
    output:
        RESULTS / "metrics" / "speed.json",
    log:
        LOGS / "speed.log",
    benchmark:
        LOGS / "speed.benchmark.tsv"
    params:
        digest=digest("infer/speed.py", "cluster", "integration", "likelihood", box=plan.box(config)),
        cache=str(COMPILE_CACHE),
    # all cores, so that nothing else runs beside a measurement (a cluster's profile sets it)
    threads: lambda wildcards: workflow.cores
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    message:
        "Measure the cost of a simulation and of the emulator"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/infer/speed.py"


rule metrics:
    localrule: True
    input:
        simulation=RESULTS / "metrics" / "simulation.json",
        training=RESULTS / "metrics" / "training.json",
        density=RESULTS / "metrics" / "density.json",
        likelihood=RESULTS / "emulator" / "likelihood.json",
        evaluation=RESULTS / "metrics" / "evaluation.json",
        recovery=RESULTS / "metrics" / "recovery.json",
        speed=RESULTS / "metrics" / "speed.json",
        **CALIBRATION_METRICS,
        uncertainty=RESULTS / "metrics" / "uncertainty.json",
        **CHECK_METRICS,
    output:
        shown(RESULTS / "metrics.json", "../report/metrics.rst", "0 Summary", file="metrics"),
    log:
        LOGS / "metrics.log",
    params:
        digest=digest("infer/metrics.py"),
    message:
        "Gather every number of the campaign"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/infer/metrics.py"
