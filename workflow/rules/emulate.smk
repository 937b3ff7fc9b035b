# From runs to a fitted likelihood: dataset/, emulator/. Nothing here reads test rows except the cut itself.


rule dataset:
    localrule: True
    input:
        splits_needed,
    output:
        train=RESULTS / "dataset" / "train.csv",
        validation=RESULTS / "dataset" / "validation.csv",
        test=RESULTS / "dataset" / "test.csv",
        **CALIBRATION_RUNS,
    log:
        LOGS / "dataset.log",
    params:
        digest=digest("emulate/dataset.py"),
    message:
        "Cut the runs into training, validation and test"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/emulate/dataset.py"


rule train:
    input:
        train=RESULTS / "dataset" / "train.csv",
        validation=RESULTS / "dataset" / "validation.csv",
    output:
        ensemble=RESULTS / "emulator" / "ensemble.eqx",
        curves=RESULTS / "emulator" / "training.h5",
        metrics=RESULTS / "metrics" / "training.json",
    log:
        LOGS / "train.log",
    benchmark:
        LOGS / "train.benchmark.tsv"
    params:
        digest=digest("emulate/train.py", "seed", "emulator", box=plan.box(config)),
        cache=str(COMPILE_CACHE),
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    message:
        "Train the ensemble"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/emulate/train.py"


rule density:
    input:
        tracks=RESULTS / "tracks.csv",
        train=RESULTS / "dataset" / "train.csv",
        validation=RESULTS / "dataset" / "validation.csv",
    output:
        heteroscedastic=RESULTS / "emulator" / "heteroscedastic.eqx",
        mixture=RESULTS / "emulator" / "mixture.eqx",
        metrics=RESULTS / "metrics" / "density.json",
    log:
        LOGS / "density.log",
    benchmark:
        LOGS / "density.benchmark.tsv"
    params:
        digest=digest(
            "emulate/density.py", "seed", "density", "integration.t_end_yr", "cluster.n_stars", box=plan.box(config)
        ),
        cache=str(COMPILE_CACHE),
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    message:
        "Train the density networks"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/emulate/density.py"


rule likelihood:
    input:
        ensemble=RESULTS / "emulator" / "ensemble.eqx",
        train=RESULTS / "dataset" / "train.csv",
        validation=RESULTS / "dataset" / "validation.csv",
        heteroscedastic=RESULTS / "emulator" / "heteroscedastic.eqx",
        mixture=RESULTS / "emulator" / "mixture.eqx",
    output:
        RESULTS / "emulator" / "likelihood.json",
    log:
        LOGS / "likelihood.log",
    benchmark:
        LOGS / "likelihood.benchmark.tsv"
    params:
        digest=digest("emulate/likelihood.py", "likelihood", box=plan.box(config)),
        cache=str(COMPILE_CACHE),
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    message:
        "Fit the likelihoods' widths on validation runs and compare them"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/emulate/likelihood.py"
