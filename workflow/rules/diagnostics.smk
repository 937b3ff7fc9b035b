# Is training healthy, and would other settings train better? Targets of their own: nothing else waits for them.
DIAGNOSTICS = RESULTS / "diagnostics"


rule diagnostics:
    input: **dataset("train", "validation")
    output:
        checks=DIAGNOSTICS / "checks.csv",
        layers=DIAGNOSTICS / "layers.csv",
        extrapolation=DIAGNOSTICS / "extrapolation.csv",
        summary=DIAGNOSTICS / "diagnostics.json",
        figures=pictures(DIAGNOSTICS, "layers", "loss_curves", "normalisation", "extrapolation"),
    log: LOGS / "diagnostics.log"
    benchmark: LOGS / "diagnostics.benchmark.tsv"
    params: digest=digest("diagnostics/diagnostics.py", "seed", "emulator", box=BOX)
    threads: 2
    resources: **growing(mem_mb=4000, runtime=30)
    message: "Train again and watch"
    script: "../scripts/diagnostics/diagnostics.py"


rule sweep:
    input: **dataset("train", "validation")
    output: table=RESULTS / "sweep" / "sweep.csv", figures=pictures(RESULTS / "sweep", "sweep")
    log: LOGS / "sweep.log"
    benchmark: LOGS / "sweep.benchmark.tsv"
    params: digest=digest("diagnostics/sweep.py", "seed", "emulator", "sweep", box=BOX)
    threads: 2
    resources: **growing(mem_mb=4000, runtime=120)
    message: "Train with every combination of settings"
    script: "../scripts/diagnostics/sweep.py"
