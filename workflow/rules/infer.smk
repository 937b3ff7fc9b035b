# Recovery of (Q0, a) and the final evaluation: the only rules that read test rows (dataset/test.csv).

INFERENCE_KEYS = ["seed", "inference", "likelihood"]


rule recover:
    input:
        ensemble=RESULTS / "emulator" / "ensemble.eqx",
        likelihood=RESULTS / "emulator" / "likelihood.json",
        test=RESULTS / "dataset" / "test.csv",
    output:
        posteriors=RESULTS / "posteriors.nc",
        table=RESULTS / "recovery.csv",
        metrics=RESULTS / "metrics" / "recovery.json",
    log:
        LOGS / "recover.log",
    benchmark:
        LOGS / "recover.benchmark.tsv"
    params:
        digest=digest("recover.py", *INFERENCE_KEYS, box=campaign.box(config), prior=campaign.prior_box(config)),
        cache=str(COMPILE_CACHE),
    threads: 2
    resources:
        mem_mb=8000,
        runtime=120,
    message:
        "Recover the birth conditions of every test cluster"
    script:
        "../scripts/recover.py"


rule observe:
    input:
        ensemble=RESULTS / "emulator" / "ensemble.eqx",
        likelihood=RESULTS / "emulator" / "likelihood.json",
        observations=config["observations"] or [],
    output:
        posteriors=RESULTS / "observed.nc",
        table=RESULTS / "observed.csv",
    log:
        LOGS / "observe.log",
    benchmark:
        LOGS / "observe.benchmark.tsv"
    params:
        digest=digest("observe.py", *INFERENCE_KEYS, box=campaign.box(config), prior=campaign.prior_box(config)),
        cache=str(COMPILE_CACHE),
    threads: 2
    resources:
        mem_mb=8000,
        runtime=120,
    message:
        "Recover the birth conditions of your own clusters"
    script:
        "../scripts/observe.py"


rule evaluate:
    input:
        ensemble=RESULTS / "emulator" / "ensemble.eqx",
        train=RESULTS / "dataset" / "train.csv",
        test=RESULTS / "dataset" / "test.csv",
    output:
        RESULTS / "metrics" / "evaluation.json",
    log:
        LOGS / "evaluate.log",
    params:
        digest=digest("evaluate.py", box=campaign.box(config)),
        cache=str(COMPILE_CACHE),
    resources:
        mem_mb=4000,
        runtime=30,
    message:
        "Evaluate the emulator and its baselines on the test runs"
    script:
        "../scripts/evaluate.py"


rule speed:
    input:
        ensemble=RESULTS / "emulator" / "ensemble.eqx",
        likelihood=RESULTS / "emulator" / "likelihood.json",
    output:
        RESULTS / "metrics" / "speed.json",
    log:
        LOGS / "speed.log",
    params:
        digest=digest("speed.py", "cluster", "integration", "likelihood", box=campaign.box(config)),
        cache=str(COMPILE_CACHE),
    # all cores, so that nothing else runs beside a measurement
    threads: workflow.cores or 1
    resources:
        mem_mb=4000,
        runtime=30,
    message:
        "Measure the cost of a simulation and of the emulator"
    script:
        "../scripts/speed.py"


rule metrics:
    localrule: True
    input:
        simulation=RESULTS / "metrics" / "simulation.json",
        training=RESULTS / "metrics" / "training.json",
        likelihood=RESULTS / "emulator" / "likelihood.json",
        evaluation=RESULTS / "metrics" / "evaluation.json",
        recovery=RESULTS / "metrics" / "recovery.json",
        speed=RESULTS / "metrics" / "speed.json",
    output:
        RESULTS / "metrics.json",
    log:
        LOGS / "metrics.log",
    params:
        digest=digest("metrics.py"),
    message:
        "Gather every number of the campaign"
    script:
        "../scripts/metrics.py"
