# Likelihoods and other uncertainty methods, fitted on training and validation runs, compared on test runs: uncertainty/.


rule uncertainty:
    input:
        **LIKELIHOOD,
        **DENSITIES,
        **dataset(*SPLITS),
        training=RESULTS / "metrics" / "training.json",
        density=RESULTS / "metrics" / "density.json",
    output:
        table=shown(RESULTS / "uncertainty" / "comparison.csv", "Uncertainty methods", table="comparison"),
        widths=RESULTS / "uncertainty" / "widths.csv",
        metrics=RESULTS / "metrics" / "uncertainty.json",
    log: LOGS / "uncertainty.log"
    benchmark: LOGS / "uncertainty.benchmark.tsv"
    params:
        digest=digest(
            "uncertainty/uncertainty.py", *INFERENCE_KEYS, "emulator", "uncertainty", box=BOX, prior=PRIOR
        ),
    threads: one_to_four
    # the longest of those that wait for the likelihood
    priority: 1
    resources: **growing(mem_mb=8000, runtime=60)
    message: "Compare uncertainty methods"
    script: "../scripts/uncertainty/uncertainty.py"
