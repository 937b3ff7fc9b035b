# Is training healthy, and would other settings train better? Targets of their own: nothing else waits for them.
DIAGNOSTICS = RESULTS / "diagnostics"


rule diagnostics:
    input:
        train=RESULTS / "dataset" / "train.csv",
        validation=RESULTS / "dataset" / "validation.csv",
    output:
        checks=DIAGNOSTICS / "checks.csv",
        layers=DIAGNOSTICS / "layers.csv",
        summary=DIAGNOSTICS / "diagnostics.json",
        figures=expand(
            DIAGNOSTICS / "{figure}.{kind}", figure=["layers", "loss_curves", "normalisation"], kind=["png", "pdf"]
        ),
    log:
        LOGS / "diagnostics.log",
    benchmark:
        LOGS / "diagnostics.benchmark.tsv"
    params:
        digest=digest("diagnostics/diagnostics.py", "seed", "emulator", box=plan.box(config)),
        cache=str(COMPILE_CACHE),
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    message:
        "Train again and watch"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/diagnostics/diagnostics.py"


rule sweep:
    input:
        train=RESULTS / "dataset" / "train.csv",
        validation=RESULTS / "dataset" / "validation.csv",
    output:
        table=RESULTS / "sweep" / "sweep.csv",
        figure=expand(RESULTS / "sweep" / "sweep.{kind}", kind=["png", "pdf"]),
    log:
        LOGS / "sweep.log",
    benchmark:
        LOGS / "sweep.benchmark.tsv"
    params:
        digest=digest("diagnostics/sweep.py", "seed", "emulator", "sweep", box=plan.box(config)),
        cache=str(COMPILE_CACHE),
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    message:
        "Train with every combination of settings"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/diagnostics/sweep.py"
