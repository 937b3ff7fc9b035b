# Likelihoods and other uncertainty methods, fitted on training and validation runs, compared on test runs: uncertainty/.


rule uncertainty:
    input:
        ensemble=RESULTS / "emulator" / "ensemble.eqx",
        likelihood=RESULTS / "emulator" / "likelihood.json",
        heteroscedastic=RESULTS / "emulator" / "heteroscedastic.eqx",
        mixture=RESULTS / "emulator" / "mixture.eqx",
        training=RESULTS / "metrics" / "training.json",
        density=RESULTS / "metrics" / "density.json",
        train=RESULTS / "dataset" / "train.csv",
        validation=RESULTS / "dataset" / "validation.csv",
        test=RESULTS / "dataset" / "test.csv",
    output:
        table=shown(
            RESULTS / "uncertainty" / "comparison.csv",
            "../report/comparison.rst",
            "5 Uncertainty methods",
            table="comparison",
        ),
        widths=RESULTS / "uncertainty" / "widths.csv",
        metrics=RESULTS / "metrics" / "uncertainty.json",
    log:
        LOGS / "uncertainty.log",
    benchmark:
        LOGS / "uncertainty.benchmark.tsv"
    params:
        digest=digest(
            "uncertainty/uncertainty.py",
            *INFERENCE_KEYS,
            "emulator",
            "uncertainty",
            box=plan.box(config),
            prior=plan.prior_box(config),
        ),
        cache=str(COMPILE_CACHE),
    threads: 2
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    message:
        "Compare uncertainty methods"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/uncertainty/uncertainty.py"
